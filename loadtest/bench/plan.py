"""What is measured, how often and for how long."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchPlan:
    """The plan of the benchmark: how long it measures, and how often.

    `rounds` are requests to each side, `paced` the numbers of paced streams at a time, `questions`
    those per size and repetition, `examples` the held-out questions per size.
    """

    repetitions: int
    rounds: int
    window_s: float
    paced: tuple[int, ...]
    engine_rounds: int
    engine_window_s: float
    questions: int
    examples: int


FULL = BenchPlan(
    repetitions=5,
    rounds=1000,
    window_s=1.5,
    paced=(50, 200),
    engine_rounds=40,
    engine_window_s=5.0,
    questions=20,
    examples=600,
)
QUICK = BenchPlan(
    repetitions=3,
    rounds=500,
    window_s=1.0,
    paced=(50,),
    engine_rounds=30,
    engine_window_s=3.0,
    questions=12,
    examples=60,
)
