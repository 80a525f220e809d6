"""The further pass of the edge member, which makes it read what a collective answered.

The family is trained on ``judge``: answers close to each other, to few kinds of questions. Members
of a collective say anything outside of their fields, to any question. All tasks of the family are
drawn beside that, so that nothing is unlearned.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.model_family.members import TIERS, member
from services.model_family.tasks import aggregation
from services.model_family.tasks.example import Task
from services.model_family.tasks.registry import TASKS

AGGREGATE_SHARE = 0.45
KEPT_SHARE = 0.35
"""Of the weights before the pass, in those that are shipped: the two are mixed, so that the member
stays close to what it was (WiSE-FT, Wortsman et al. 2022, arXiv 2109.01903)."""


class Aggregator:
    name = "aggregator"
    member = member(TIERS[1])

    def training_tasks(self) -> Sequence[Task]:
        return (*TASKS, aggregation.TASK)

    def weights(self, drawn: Sequence[float]) -> list[float]:
        """``drawn``: of each of ``training_tasks``; the last has a fixed share."""
        plain = drawn[:-1]
        rest = 1 - AGGREGATE_SHARE
        return [*(rest * weight / sum(plain) for weight in plain), AGGREGATE_SHARE]
