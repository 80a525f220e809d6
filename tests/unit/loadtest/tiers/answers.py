"""Answers of a cell, as the benchmark of the tiers gets them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from loadtest.measure.family import Question
from loadtest.speculation.token_streams import TokenStream
from loadtest.tiers.comparisons import WayResult, compare_cell
from loadtest.tiers.plan import LONG, SPOILED, TABLE, Cell, Phase
from loadtest.tiers.rounds import Answer
from loadtest.tiers.ways import (
    A80,
    CLOUD_ONLY,
    EDGE_CLOUD,
    EDGE_ONLY,
    NATURAL,
    Way,
    with_device,
)

TOKENS = 24
FIRST_S = 0.05
QUESTION = Question("sum", "What is 4 + 5?", "9")
SECONDS: Mapping[Way, float] = {
    EDGE_ONLY: 0.2,
    with_device("edge"): 0.1,
    CLOUD_ONLY: 0.4,
    with_device("cloud"): 0.25,
    EDGE_CLOUD: 0.25,
    with_device("edge-cloud"): 0.2,
    with_device("cloud", A80): 0.4,
    with_device("edge-cloud", A80): 0.2,
}
"""How long the answers of each way take."""


def answer(number: int, way: Way, seconds: float, *, text: str = "9", last: int = 7) -> Answer:
    """24 ids, the first after 0.05 s, the last at the end, in equal steps."""
    step = (seconds - FIRST_S) / (TOKENS - 1)
    ids = [*range(TOKENS - 1), last]
    stream = TokenStream(
        sent=0.0,
        done=seconds,
        chunks=[(FIRST_S + step * place, [token]) for place, token in enumerate(ids)],
        text=text,
    )
    return Answer(round=number, question=QUESTION, way=way, stream=stream)


def cell(kind: str, round_trip_ms: int, ways: Sequence[Way]) -> Cell:
    return Cell(kind=kind, round_trip_ms=round_trip_ms, ways=ways, seconds=1.0, least=1)


def compared(
    measured: Cell, seconds: Mapping[Way, float] = SECONDS, phase: Phase | None = None
) -> list[WayResult]:
    """Four rounds of the cell, in which each way takes as long as said."""
    answers = [answer(number, way, seconds[way]) for number in range(4) for way in measured.ways]
    return compare_cell(phase or Phase(name="real steps", cells=[measured]), measured, answers)


NEAR = [EDGE_ONLY, with_device("edge")]
NATURAL_WAYS = [way for way in SECONDS if way.drafter in ("", NATURAL)]
FAR_SPOILED = [way for way in SECONDS if way.drafter and "cloud" in way.name]


EMULATED = "emulated steps"


def results() -> list[WayResult]:
    """Tables at two round trips, and at emulated steps spoiled drafts at one."""
    slow = {way: seconds + (way == CLOUD_ONLY) * 0.1 for way, seconds in SECONDS.items()}
    spoiled = cell(SPOILED, 50, [CLOUD_ONLY, EDGE_CLOUD, *FAR_SPOILED])
    emulated = Phase(name=EMULATED, cells=[spoiled], steps_ms={"cloud": 25.0})
    return [
        *compared(cell(LONG, 0, NEAR)),
        *compared(cell(TABLE, 20, NATURAL_WAYS), slow),
        *compared(cell(LONG, 20, NATURAL_WAYS), slow),
        *compared(cell(LONG, 50, NATURAL_WAYS)),
        *compared(spoiled, phase=emulated),
    ]
