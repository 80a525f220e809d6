"""The further pass of the edge member, which teaches it to read the answers of a collective.

The family is trained on ``judge``: answers close to each other, to few kinds of questions. Members
of a collective answer any question, and anything outside of their fields. All tasks of the family
are drawn as well, so that nothing is unlearned.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.model_family.members import TIERS, member
from services.model_family.tasks import aggregation
from services.model_family.tasks.example import Task
from services.model_family.tasks.registry import TASKS
from services.model_family.training.plan import shared_out

AGGREGATE_SHARE = 0.45
KEPT_SHARE = 0.35
"""Of the weights before the pass, in those that are shipped: the two are mixed, so that the member
stays close to what it was (WiSE-FT, Wortsman et al. 2022, arXiv 2109.01903)."""


class Aggregator:
    """The plan of the further pass: the family's tasks, and others' answers to read."""

    name = "aggregator"
    member = member(TIERS[1])

    def training_tasks(self) -> Sequence[Task]:
        return (*TASKS, aggregation.TASK)

    def weights(self, drawn: Sequence[float]) -> list[float]:
        """``drawn``: of each of ``training_tasks``; the last has a fixed share."""
        return shared_out(((1 - AGGREGATE_SHARE, drawn[:-1]), (AGGREGATE_SHARE, drawn[-1:])))
