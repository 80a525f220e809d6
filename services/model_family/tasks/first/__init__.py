"""What people type first, in the many ways in which they type it.

The tasks of the family have few forms each, so that they can be learned soon. Here the matter is
small and the wording wide: the members learn to understand a stranger.
"""

from services.model_family.tasks.example import Task
from services.model_family.tasks.first import facts, lines, lists, outside, sums, talk

TASKS: tuple[Task, ...] = (
    *sums.TASKS,
    *talk.TASKS,
    *facts.TASKS,
    *lists.TASKS,
    *lines.TASKS,
    *outside.TASKS,
)
