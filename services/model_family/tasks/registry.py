"""All tasks, in one fixed order (indices are stored in checkpoints)."""

from services.model_family.tasks import code, collective, dialogue, mathematics, reading
from services.model_family.tasks.example import Task

TASKS: tuple[Task, ...] = (
    *mathematics.TASKS,
    *code.TASKS,
    *reading.TASKS,
    *dialogue.TASKS,
    *collective.TASKS,
)

BY_NAME: dict[str, Task] = {task.name: task for task in TASKS}
