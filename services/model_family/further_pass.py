"""The further pass of the whole family, which teaches it what strangers type first.

The members that are shipped become one model with exits again, and all exits are trained together,
as in the first training. All of the family's tasks and the reading of others' answers are drawn as
well, so that nothing is unlearned.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from services.model_family.members import member
from services.model_family.presets import SMALL
from services.model_family.tasks import aggregation, first
from services.model_family.tasks.example import Task
from services.model_family.tasks.registry import TASKS
from services.model_family.training.plan import shared_out

FIRST_SHARE = 0.55
AGGREGATE_SHARE = 0.05
"""Of the draws. First questions are short: they are a third of the tokens."""

PRESET = dataclasses.replace(
    SMALL,
    name="further",
    steps=1_000_000,
    hours=1.0,
    matrix_rate=0.004,
    other_rate=1e-3,
    decay_share=0.6,
    reading_weight=0.0,
)
"""The preset of the pass: the rate is lower than at first, and falls for longer. Strangers' words
are not predicted: most of them are there for their variety."""


class FurtherPlan:
    """The plan of the pass: the family's tasks, others' answers to read, and first questions."""

    def training_tasks(self) -> Sequence[Task]:
        return (*TASKS, aggregation.TASK, *first.TASKS)

    def weights(self, drawn: Sequence[float]) -> list[float]:
        at = len(TASKS)
        rest = 1 - FIRST_SHARE - AGGREGATE_SHARE
        return shared_out(
            (
                (rest, drawn[:at]),
                (AGGREGATE_SHARE, drawn[at : at + 1]),
                (FIRST_SHARE, drawn[at + 1 :]),
            )
        )


class AlonePlan(FurtherPlan):
    """The plan of the pass for one member by itself, which then has embeddings of its own.

    The smallest member gains by it: what all share serves the largest first.
    """

    def __init__(self, tier: str) -> None:
        self.member = member(tier)
        self.name = f"further-{tier}"

    def weights(self, drawn: Sequence[float]) -> list[float]:
        """Half for each: a small member unlearns sooner, and nobody gives it answers to read."""
        at = len(TASKS)
        return shared_out(((0.5, drawn[:at]), (0.0, drawn[at : at + 1]), (0.5, drawn[at + 1 :])))
