"""What is measured: links, drafters and windows; how often, and for how long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

AUTO = "auto"
NATURAL, A80, A30, USELESS = "natural", "0.8", "0.3", "useless"
DRAFTERS = (NATURAL, A80, A30, USELESS)
ROUND_TRIPS_MS = (5, 20, 50, 100)
GOALS = {
    NATURAL: dict(zip(ROUND_TRIPS_MS, (3.0, 2.5, 2.0, 1.6), strict=True)),
    A80: dict(zip(ROUND_TRIPS_MS, (1.7, 1.5, 1.25, 1.05), strict=True)),
}
"""Ratio of TPOT to server-only streaming, with the adaptive window."""
RATE_MB_S = 2.0
"""The link's rate that the final line and the plots are about."""


@dataclass(frozen=True, slots=True)
class Way:
    """A drafter, by its acceptance, with a window of draft tokens (a number, or `auto`)."""

    drafter: str
    window: str = AUTO

    @property
    def name(self) -> str:
        return f"acceptance {self.drafter}, window {self.window}"


@dataclass(frozen=True, slots=True)
class Stop:
    """One link with the ways measured on it; `sweep` are asked less often than `main`."""

    round_trip_ms: int
    rate_mb_s: float
    main: Sequence[Way]
    sweep: Sequence[Way] = ()
    seconds: float = 60.0

    @property
    def name(self) -> str:
        return f"RTT {self.round_trip_ms} ms, {self.rate_mb_s:g} MB/s"


@dataclass(frozen=True, slots=True)
class Plan:
    """`prompts` in all; `questions` of the table of tiers; the rest counts rounds.

    A round asks every way of a stop about one prompt; a sweep's ways take part in every
    `sweep_every`-th only, and the co-located baseline too. `budget_s` is for the whole run.
    """

    stops: Sequence[Stop]
    prompts: int
    questions: int
    warm_up: int
    least_rounds: int
    sweep_every: int
    budget_s: float


def stops(
    rates: Sequence[float], windows: Sequence[int], sweep_at: Sequence[int], seconds: float
) -> list[Stop]:
    """Every round-trip time at every rate; windows are swept at the given round trips."""
    main = [Way(drafter) for drafter in DRAFTERS]
    sweep = [Way(NATURAL, str(window)) for window in windows]
    return [
        Stop(round_trip, rate, main, sweep if round_trip in sweep_at else (), seconds)
        for rate in rates
        for round_trip in ROUND_TRIPS_MS
    ]


FULL = Plan(
    stops=stops((0.5, RATE_MB_S, 50.0), (1, 2, 4, 8, 16, 22, 32), ROUND_TRIPS_MS, 52.0),
    prompts=36,
    questions=200,
    warm_up=3,
    least_rounds=12,
    sweep_every=4,
    budget_s=1020.0,
)
QUICK = Plan(
    stops=stops((RATE_MB_S,), (1, 4, 8, 16, 32), (20,), 26.0),
    prompts=13,
    questions=24,
    warm_up=2,
    least_rounds=4,
    sweep_every=2,
    budget_s=285.0,
)


TIERS_S = 0.9
"""Of the table of tiers, for each question."""
LEAST_SECONDS = 6.0
WARM_UP_S = 4.0
"""Of a stop, before its seconds begin."""


def seconds_for(stop: Stop, plan: Plan, passed_s: float, stops_left: int) -> float:
    """How long to measure a stop: as planned, or less where the machine was slow so far.

    `stops_left` counts this one too.
    """
    left = plan.budget_s - passed_s - TIERS_S * plan.questions
    return max(LEAST_SECONDS, min(stop.seconds, left / stops_left - WARM_UP_S))


def ways_of_round(stop: Stop, number: int, every: int) -> list[Way]:
    """The ways asked in a stop's round: each of the sweep once in `every` rounds."""
    swept = [way for place, way in enumerate(stop.sweep) if (place + number) % every == 0]
    return [*stop.main, *swept]
