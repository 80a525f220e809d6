"""From single answers to figures: each way of a cell, against its verifier alone."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from loadtest.measure.family import is_right
from loadtest.measure.statistics import Spread, bootstrap, median_ratio, sums_ratio
from loadtest.tiers.plan import Cell, Phase
from loadtest.tiers.rounds import Answer
from loadtest.tiers.ways import Way, verifier_of, with_device


@dataclass(frozen=True, slots=True, kw_only=True)
class WayResult:
    """A way in one cell. Times in ms; `accuracy` is 0 to 1.

    `speedup` is tokens/s of whole answers over those of the verifier alone, `tpot_ratio` the
    verifier's time per output token over this way's, `over_two` tokens/s of three tiers over those
    of device and cloud: above 1 is faster. `mismatches` counts answers whose ids are not the
    verifier's own, `degraded` those that the device had to finish alone. All four are None where
    the way is a tier alone, or what it is compared with was not asked.
    """

    phase: Phase
    cell: Cell
    way: Way
    answers: int
    accuracy: float
    tokens_per_s: Spread
    tpot_ms: Spread | None
    ttft_ms: float
    accepted_share: float | None
    speedup: Spread | None
    tpot_ratio: Spread | None
    over_two: Spread | None
    mismatches: int | None
    degraded: int


def compare_cell(phase: Phase, cell: Cell, answers: Sequence[Answer]) -> list[WayResult]:
    """Every way of the cell that was asked, in the cell's order."""
    by_way: dict[Way, dict[int, Answer]] = {}
    for answer in answers:
        by_way.setdefault(answer.way, {})[answer.round] = answer
    return [_result(phase, cell, way, by_way) for way in cell.ways if way in by_way]


def _result(
    phase: Phase, cell: Cell, way: Way, by_way: Mapping[Way, Mapping[int, Answer]]
) -> WayResult:
    ours = list(by_way[way].values())
    streams = [answer.stream for answer in ours]
    tpots = [1e3 * stream.tpot for stream in streams if stream.tpot is not None]
    drafted = sum(int(stream.tierflow.get("drafted_tokens") or 0) for stream in streams)
    accepted = sum(int(stream.tierflow.get("accepted_tokens") or 0) for stream in streams)
    right = [is_right(answer.stream.text, answer.question.answer) for answer in ours]
    verifier = verifier_of(way)
    alone = by_way.get(verifier) if verifier is not None else None
    two = by_way.get(with_device("cloud", way.drafter)) if way.name == "device-edge-cloud" else None
    pairs = [] if alone is None else [(answer, alone[answer.round]) for answer in ours]
    tpot_pairs = [
        (theirs.stream.tpot, own.stream.tpot)
        for own, theirs in pairs
        if own.stream.tpot is not None and theirs.stream.tpot is not None
    ]
    return WayResult(
        phase=phase,
        cell=cell,
        way=way,
        answers=len(ours),
        accuracy=sum(right) / len(right),
        tokens_per_s=bootstrap(
            [(stream.count, stream.latency) for stream in streams],
            lambda rows: sum(count for count, _ in rows) / sum(time for _, time in rows),
        ),
        tpot_ms=bootstrap(tpots, statistics.median) if tpots else None,
        ttft_ms=1e3 * statistics.median(stream.ttft for stream in streams),
        accepted_share=accepted / drafted if drafted else None,
        speedup=_speedup(ours, alone),
        tpot_ratio=median_ratio(tpot_pairs) if tpot_pairs else None,
        over_two=_speedup(ours, two),
        mismatches=sum(own.stream.ids != theirs.stream.ids for own, theirs in pairs)
        if alone is not None
        else None,
        degraded=sum(stream.degraded for stream in streams),
    )


def _speedup(ours: Sequence[Answer], theirs: Mapping[int, Answer] | None) -> Spread | None:
    """Tokens/s over tokens/s, of the same questions."""
    if theirs is None:
        return None
    pairs = [(own.stream, theirs[own.round].stream) for own in ours]
    return sums_ratio([(a.count, a.latency, b.count, b.latency) for a, b in pairs])


def at(
    results: Iterable[WayResult], kind: str, round_trip_ms: int, way: Way, *, emulated: bool = False
) -> WayResult | None:
    """The way's result in the cell of this kind and round trip, with real steps or emulated."""
    for result in results:
        cell = result.cell
        if (cell.kind, cell.round_trip_ms, result.way) == (kind, round_trip_ms, way):
            if bool(result.phase.steps_ms) == emulated:
                return result
    return None
