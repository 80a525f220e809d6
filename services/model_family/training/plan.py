"""What a training trains on: the tasks, and how often each is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from services.model_family.tasks.example import Task
from services.model_family.tasks.registry import TASKS


class TrainingPlan(Protocol):
    """The plan of a training.

    ``weights`` gives how often each of ``training_tasks`` is drawn, from the weights by which
    wrongly answered tasks are preferred.
    """

    def training_tasks(self) -> Sequence[Task]: ...

    def weights(self, drawn: Sequence[float]) -> list[float]: ...


class FamilyPlan:
    """The plan of the first training: the family's tasks, the wrongly answered ones preferred."""

    def training_tasks(self) -> Sequence[Task]:
        return TASKS

    def weights(self, drawn: Sequence[float]) -> list[float]:
        return list(drawn)


def shared_out(groups: Sequence[tuple[float, Sequence[float]]]) -> list[float]:
    """The weights of all groups one after the other, each group scaled to its share."""
    return [share * weight / sum(group) for share, group in groups for weight in group]
