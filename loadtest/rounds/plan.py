"""What is measured: engines, contexts, drafters and links; how often."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

ANSWER_TOKENS = 96
DRAFT_S = 0.002
"""That the scripted device takes for a draft token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundCell:
    """One place of the table. `context` in tokens of the prompt, `acceptance` the share of drafts
    that are right, `most` drafts a round."""

    context: int
    acceptance: float
    round_trip_ms: int
    most: int

    @property
    def name(self) -> str:
        return (
            f"context {self.context}, acceptance {self.acceptance:g}, "
            f"RTT {self.round_trip_ms} ms, {self.most} drafts"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundsPlan:
    """The plan of the benchmark. `steps_ms` are the least times of the engine's step, 0 for the
    engine as it is; every other combination is measured at each. A cell has `warm_up` answers with
    the rule, and `repetitions` of each way, in turn."""

    steps_ms: Sequence[int]
    contexts: Sequence[int]
    acceptances: Sequence[float]
    round_trips_ms: Sequence[int]
    most_drafts: Sequence[int]
    warm_up: int
    repetitions: int

    def cells(self) -> Iterator[RoundCell]:
        """In the order in which they are measured: what the gateway has learned at one place of the
        table it must unlearn at the next."""
        for context, acceptance, round_trip, most in product(
            self.contexts, self.acceptances, self.round_trips_ms, self.most_drafts
        ):
            yield RoundCell(
                context=context, acceptance=acceptance, round_trip_ms=round_trip, most=most
            )


FULL = RoundsPlan(
    steps_ms=(0, 25),
    contexts=(100, 900),
    acceptances=(0.3, 0.8, 0.95),
    round_trips_ms=(0, 20),
    most_drafts=(8,),
    warm_up=1,
    repetitions=4,
)
QUICK = RoundsPlan(
    steps_ms=(0, 25),
    contexts=(100,),
    acceptances=(0.3, 0.95),
    round_trips_ms=(0, 20),
    most_drafts=(8,),
    warm_up=1,
    repetitions=2,
)
