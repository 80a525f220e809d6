"""What is measured: links between edge and cloud, ways, engines' steps; how often, for how long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from loadtest.tiers.ways import (
    A50,
    A80,
    CLOUD_ONLY,
    CO_LOCATED,
    DEVICE_ONLY,
    EDGE_CLOUD,
    EDGE_ONLY,
    NATURAL,
    Way,
    with_device,
)

NEAR_ROUND_TRIP_MS = 5
"""Between a device and the edge site."""
RATE_MB_S = 50.0
"""Of all links: what is measured are round trips."""
TABLE, LONG, SPOILED = "table", "long answers", "spoiled"
DRAFTERS = (NATURAL, A80, A50)
TWO_TIERS_GOAL, THREE_TIERS_GOAL, SPOILED_GOAL = 1.5, 1.6, 1.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The ways that are compared at one round trip between edge and cloud.

    A cell of the `table` asks questions of all kinds, each once; one of the `long answers` or of
    the `spoiled` drafts asks those with long answers, again and again. It takes `seconds`, or as
    long as `least` rounds do.
    `round_trip_ms` is 0 at the edge site alone, in whose ways the cloud has no part.
    """

    kind: str
    round_trip_ms: int
    ways: Sequence[Way]
    seconds: float
    least: int

    @property
    def name(self) -> str:
        return f"{self.kind}, {self.place}"

    @property
    def place(self) -> str:
        ms = self.round_trip_ms
        return f"edge-cloud RTT {ms} ms" if ms else "edge site alone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Cells with the same engines; `steps_ms` are the emulated steps by tier (empty: real ones)."""

    name: str
    cells: Sequence[Cell]
    steps_ms: Mapping[str, float] = field(default_factory=dict)

    @property
    def ways(self) -> set[Way]:
        return {way for cell in self.cells for way in cell.ways}

    @property
    def drafters(self) -> list[str]:
        """The drafters of its devices; the natural one is always there."""
        used = {way.drafter for way in self.ways} | {NATURAL}
        return [drafter for drafter in DRAFTERS if drafter in used]


@dataclass(frozen=True, slots=True, kw_only=True)
class TiersPlan:
    """`questions` of all kinds and `prompts` with long answers; each way answers `warm_up` of them
    before a cell begins, and `chain_warm_up` where the gateway has to learn whether the tier in the
    middle is worth asking. `colocated`: vLLM's own speculation is measured too."""

    phases: Sequence[Phase]
    questions: int
    prompts: int
    warm_up: int
    chain_warm_up: int
    colocated: bool = True


NEAR_WAYS = (DEVICE_ONLY, EDGE_ONLY, with_device("edge"))
FAR_WAYS = (CLOUD_ONLY, with_device("cloud"), EDGE_CLOUD, with_device("edge-cloud"), CO_LOCATED)
QUICK_WAYS = tuple(way for way in FAR_WAYS if way != CO_LOCATED)
SPOILED_WAYS = (
    CLOUD_ONLY,
    EDGE_CLOUD,
    *(with_device(tiers, drafter) for tiers in ("cloud", "edge-cloud") for drafter in DRAFTERS),
)


def cell(kind: str, round_trip_ms: int, ways: Sequence[Way], *, seconds: float, least: int) -> Cell:
    return Cell(kind=kind, round_trip_ms=round_trip_ms, ways=ways, seconds=seconds, least=least)


EMULATED_STEPS_MS: Mapping[str, float] = {"edge": 12.0, "cloud": 25.0}
"""Steps that served models of some 7 and 14 thousand million weights take."""
EMULATED = "steps emulated, edge 12 ms and cloud 25 ms"

FULL = TiersPlan(
    phases=[
        Phase(
            name="real steps",
            cells=[
                cell(TABLE, 0, NEAR_WAYS, seconds=40.0, least=40),
                cell(LONG, 0, NEAR_WAYS, seconds=20.0, least=12),
                cell(TABLE, 20, FAR_WAYS, seconds=60.0, least=40),
                cell(LONG, 20, FAR_WAYS, seconds=40.0, least=12),
                cell(TABLE, 50, FAR_WAYS, seconds=65.0, least=40),
                cell(LONG, 50, FAR_WAYS, seconds=45.0, least=12),
                cell(SPOILED, 50, SPOILED_WAYS, seconds=65.0, least=12),
            ],
        ),
        Phase(
            name=EMULATED,
            cells=[
                cell(TABLE, 0, NEAR_WAYS, seconds=20.0, least=24),
                cell(LONG, 0, NEAR_WAYS, seconds=15.0, least=10),
                cell(TABLE, 20, FAR_WAYS, seconds=50.0, least=24),
                cell(LONG, 20, FAR_WAYS, seconds=45.0, least=8),
                cell(TABLE, 50, FAR_WAYS, seconds=55.0, least=24),
                cell(LONG, 50, FAR_WAYS, seconds=50.0, least=8),
                cell(SPOILED, 50, SPOILED_WAYS, seconds=85.0, least=10),
                cell(SPOILED, 100, SPOILED_WAYS, seconds=95.0, least=10),
            ],
            steps_ms=EMULATED_STEPS_MS,
        ),
    ],
    questions=100,
    prompts=24,
    warm_up=3,
    chain_warm_up=12,
)
QUICK = TiersPlan(
    phases=[
        Phase(
            name="real steps",
            cells=[
                cell(LONG, 0, NEAR_WAYS, seconds=6.0, least=8),
                cell(LONG, 20, QUICK_WAYS, seconds=12.0, least=6),
                cell(LONG, 50, QUICK_WAYS, seconds=14.0, least=6),
            ],
        ),
    ],
    questions=40,
    prompts=12,
    warm_up=2,
    chain_warm_up=6,
    colocated=False,
)
"""The short plan: no emulated steps, no spoiled drafts."""
