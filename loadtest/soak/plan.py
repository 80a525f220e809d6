"""How long and how much."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SoakPlan:
    """The plan of a soak: `seconds` in all, and in its first `warm_share` memory may grow.

    Of `callers` at a time each leaves in the middle of every `leave_every`th answer.
    """

    seconds: float
    warm_share: float
    callers: int
    leave_every: int
    questions: int
    tokens: tuple[int, int]


FULL = SoakPlan(
    seconds=3600.0, warm_share=0.25, callers=64, leave_every=8, questions=400, tokens=(8, 48)
)
QUICK = SoakPlan(
    seconds=120.0, warm_share=0.25, callers=64, leave_every=8, questions=200, tokens=(8, 48)
)
