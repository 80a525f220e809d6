"""What is measured: links, drafters and windows; how often, and for how long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

AUTO = "auto"
NATURAL, A80, A30, USELESS = "natural", "0.8", "0.3", "useless"
DRAFTERS = (NATURAL, A80, A30, USELESS)
SERVER_ONLY, DIRECT, CO_LOCATED = "server-only", "direct", "co-located"
CONTROL = "server-only again"
"""Asked like server-only: what differs between the two is what chance does to every comparison."""
ROUND_TRIPS_MS = (5, 20, 50, 100)
GOALS = {
    NATURAL: dict(zip(ROUND_TRIPS_MS, (3.0, 2.5, 2.0, 1.6), strict=True)),
    A80: dict(zip(ROUND_TRIPS_MS, (1.7, 1.5, 1.25, 1.05), strict=True)),
}
"""Ratio of TPOT to server-only streaming, with the adaptive window."""
STEP_GOALS = {25: {20: 1.4, 50: 1.25, 100: 1.05}}
"""The same at acceptance 0.8, by the emulated step of the engine in ms and the round trip."""
SLOW_DRAFT_MS = 8.0
"""A draft token where the engine's step is emulated: on a device that is slower as well."""
RATE_MB_S = 2.0
"""The rate of the links that the final line and the plots are about."""
TIERS_S = 0.9
"""Seconds that the table of tiers takes for each question."""
CANDIDATES = 900
"""Held-out questions of which the prompts are chosen."""
LEAST_SECONDS = 6.0
WARM_UP_S = 4.0
"""Seconds that a link takes before its rounds begin."""


@dataclass(frozen=True, slots=True)
class DraftConfig:
    """A device that drafts: its drafter, named by its acceptance, and its draft window.

    `window` is a number of draft tokens, or `auto`: the adaptive window.
    """

    drafter: str
    window: str = AUTO

    @property
    def name(self) -> str:
        return f"acceptance {self.drafter}, window {self.window}"

    @property
    def adaptive(self) -> bool:
        return self.window == AUTO


Variant: TypeAlias = DraftConfig | str
"""How a question is answered: with drafts from a device, or server-only, direct, co-located."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkPlan:
    """A link with the configurations measured on it, those of `sweep` less often than `main`."""

    round_trip_ms: int
    rate_mb_s: float
    main: Sequence[DraftConfig]
    sweep: Sequence[DraftConfig] = ()
    seconds: float = 60.0
    step_ms: float = 0.0
    """The engine's emulated step; 0: its own."""

    @property
    def name(self) -> str:
        step = f", steps of {self.step_ms:g} ms" if self.step_ms else ""
        return f"RTT {self.round_trip_ms} ms, {self.rate_mb_s:g} MB/s{step}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPlan:
    """Links that are measured with engines and a device of their own.

    `step_ms` is the engine's emulated step, `draft_ms` the least time of a draft token; 0: as they
    are.
    """

    links: Sequence[LinkPlan]
    step_ms: float = 0.0
    draft_ms: float = 0.0

    @property
    def name(self) -> str:
        return f"steps of {self.step_ms:g} ms" if self.step_ms else "real steps"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeculationPlan:
    """The plan of the benchmark: `prompts` for timing, `questions` for the table of tiers, rounds.

    A round asks about one prompt in every variant of a link; the configurations of a sweep and the
    co-located baseline take part in every `sweep_every`-th only. `budget_s` is for all but the
    emulated `steps`, which come last.
    """

    links: Sequence[LinkPlan]
    prompts: int
    questions: int
    warm_up: int
    least_rounds: int
    sweep_every: int
    budget_s: float
    steps: Sequence[StepPlan] = ()


def links(
    rates: Sequence[float], *, windows: Sequence[int], sweep_at: Sequence[int], seconds: float
) -> list[LinkPlan]:
    """Every round-trip time at every rate; windows are swept at the given round trips."""
    main = [DraftConfig(drafter) for drafter in DRAFTERS]
    sweep = [DraftConfig(NATURAL, str(window)) for window in windows]
    return [
        LinkPlan(
            round_trip_ms=round_trip,
            rate_mb_s=rate,
            main=main,
            sweep=sweep if round_trip in sweep_at else (),
            seconds=seconds,
        )
        for rate in rates
        for round_trip in ROUND_TRIPS_MS
    ]


def step_plan(
    step_ms: float, round_trips_ms: Sequence[int], *, seconds: float, draft_ms: float = 0.0
) -> StepPlan:
    """Acceptance 0.8 on links of the main rate, at an emulated step (0: the engine's own)."""
    links = [
        LinkPlan(
            round_trip_ms=round_trip,
            rate_mb_s=RATE_MB_S,
            main=[DraftConfig(A80)],
            seconds=seconds,
            step_ms=step_ms,
        )
        for round_trip in round_trips_ms
    ]
    return StepPlan(links=links, step_ms=step_ms, draft_ms=draft_ms)


STEPS = [
    step_plan(step_ms, (20, 50, 100), seconds=30.0, draft_ms=SLOW_DRAFT_MS)
    for step_ms in (12, 25, 40)
]
QUICK_STEPS = [step_plan(25, (50,), seconds=14.0, draft_ms=SLOW_DRAFT_MS)]

FULL = SpeculationPlan(
    links=links(
        (0.5, RATE_MB_S, 50.0),
        windows=(1, 2, 4, 8, 16, 22, 32),
        sweep_at=ROUND_TRIPS_MS,
        seconds=52.0,
    ),
    prompts=36,
    questions=200,
    warm_up=3,
    least_rounds=12,
    sweep_every=4,
    budget_s=1020.0,
    steps=STEPS,
)
QUICK = SpeculationPlan(
    links=links((RATE_MB_S,), windows=(1, 4, 8, 16, 32), sweep_at=(20,), seconds=20.0),
    prompts=13,
    questions=24,
    warm_up=2,
    least_rounds=4,
    sweep_every=2,
    budget_s=235.0,
    steps=QUICK_STEPS,
)


def seconds_for(
    link: LinkPlan, plan: SpeculationPlan, *, passed_s: float, remaining_links: int
) -> float:
    """How long to measure a link: as planned, or less where the machine was slow so far.

    `remaining_links` counts this one too.
    """
    remaining_s = plan.budget_s - passed_s - TIERS_S * plan.questions
    return max(LEAST_SECONDS, min(link.seconds, remaining_s / remaining_links - WARM_UP_S))


def configs_of_round(link: LinkPlan, number: int, every: int) -> list[DraftConfig]:
    """The configurations asked in a link's round: each of the sweep once in `every` rounds."""
    swept = [config for place, config in enumerate(link.sweep) if (place + number) % every == 0]
    return [*link.main, *swept]
