"""The further pass of the whole family, which teaches it what strangers type first.

The members that are shipped become one model with exits again, and all exits are trained together,
as in the first training. All of the family's tasks and the reading of others' answers are drawn as
well, so that nothing is unlearned.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from services.model_family.members import TIERS, member
from services.model_family.presets import SMALL, Preset
from services.model_family.tasks import aggregation, edits, first
from services.model_family.tasks.example import Task
from services.model_family.tasks.registry import TASKS
from services.model_family.training.plan import shared_out

FIRST_SHARE = 0.5
AGGREGATE_SHARE = 0.07
EDIT_SHARE = 0.04
"""Of the draws. First questions are short, edits are long."""

EMPHASIS: Mapping[str, float] = {"first_outside": 3.0, "first_sort": 2.0}
"""How much oftener than other first questions: what lies outside has the most forms, and a list's
order is learned the slowest."""

SMALLEST_EMPHASIS: Mapping[str, float] = {"first_outside": 8.0}
"""The smallest member can't learn to order lists, and takes more of what is outside for known."""

PRESET = dataclasses.replace(
    SMALL,
    name="further",
    steps=1_000_000,
    hours=1.0,
    matrix_rate=0.004,
    other_rate=1e-3,
    decay_share=0.7,
    reading_weight=0.0,
)
"""The preset of the pass: the rate is lower than at first, and falls for longer. Strangers' words
are not predicted: most of them are there for their variety."""


def together(*, minutes: float, steps: int | None, alone: Sequence[str]) -> Preset:
    """The preset of a pass of ``minutes``, in which the exits of the tiers ``alone`` count nothing:
    those members have embeddings of their own."""
    counted = zip(TIERS, PRESET.exit_weights, strict=True)
    return dataclasses.replace(
        PRESET,
        hours=minutes / 60,
        steps=steps or PRESET.steps,
        exit_weights=tuple(0.0 if tier in alone else weight for tier, weight in counted),
    )


def emphasised(drawn: Sequence[float], emphasis: Mapping[str, float]) -> list[float]:
    """The weights of first questions, some of which are drawn more often."""
    return [
        emphasis.get(task.name, 1.0) * weight
        for task, weight in zip(first.TASKS, drawn, strict=True)
    ]


class FurtherPlan:
    """The plan of the pass: the family's tasks, others' answers to read, texts to change, and
    first questions."""

    aggregate_share, edit_share, emphasis = AGGREGATE_SHARE, EDIT_SHARE, EMPHASIS

    def training_tasks(self) -> Sequence[Task]:
        return (*TASKS, aggregation.TASK, *edits.TASKS, *first.TASKS)

    def weights(self, drawn: Sequence[float]) -> list[float]:
        at = len(TASKS)
        begin = at + 1 + len(edits.TASKS)
        return shared_out(
            (
                (1 - FIRST_SHARE - self.aggregate_share - self.edit_share, drawn[:at]),
                (self.aggregate_share, drawn[at : at + 1]),
                (self.edit_share, drawn[at + 1 : begin]),
                (FIRST_SHARE, emphasised(drawn[begin:], self.emphasis)),
            )
        )


class AlonePlan(FurtherPlan):
    """The plan of the pass for one member by itself, which then has embeddings of its own.

    A small member gains by it: what all share serves the largest first. The smallest is too small
    for long texts, and nobody gives it answers to read.
    """

    def __init__(self, tier: str) -> None:
        if tier == TIERS[0]:
            self.aggregate_share = self.edit_share = 0.0
            self.emphasis = SMALLEST_EMPHASIS
        self.member = member(tier)
        self.name = f"further-{tier}"
