"""The tables of a run, and its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from loadtest.measure.results import Cell as TableCell
from loadtest.measure.results import Table
from loadtest.tiers.comparisons import WayResult, at
from loadtest.tiers.plan import (
    LONG,
    NEAR_ROUND_TRIP_MS,
    RATE_MB_S,
    SPOILED,
    SPOILED_GOAL,
    TABLE,
    THREE_TIERS_GOAL,
    TWO_TIERS_GOAL,
    Phase,
)
from loadtest.tiers.ways import A80, with_device

KEYS = ("two_tier_speedup", "three_tier_speedup", "three_tier_speedup_a80_rtt_50", "mismatches")
TABLE_ROUND_TRIPS_MS = (20, 50)
SPOILED_ROUND_TRIP_MS = 50


def figures(results: Sequence[WayResult]) -> dict[str, float | None]:
    """Exactly KEYS: two and three tiers on questions with long answers, at real steps; the device's
    drafts spoiled, at emulated ones; mismatches are of all."""
    three = with_device("edge-cloud")
    two = at(results, LONG, 0, with_device("edge"))
    spoiled = at(
        results, SPOILED, SPOILED_ROUND_TRIP_MS, with_device("edge-cloud", A80), emulated=True
    )
    threes = [
        result.speedup.median
        for round_trip_ms in TABLE_ROUND_TRIPS_MS
        if (result := at(results, LONG, round_trip_ms, three)) and result.speedup
    ]
    values = (
        two.speedup.median if two and two.speedup else None,
        min(threes, default=None),
        spoiled.speedup.median if spoiled and spoiled.speedup else None,
        sum(result.mismatches or 0 for result in results),
    )
    return dict(zip(KEYS, values, strict=True))


def tables(results: Sequence[WayResult]) -> list[Table]:
    """Of each phase: the tiers alone and together, then the spoiled drafts."""
    phases: dict[str, list[WayResult]] = {}
    for result in results:
        phases.setdefault(result.phase.name, []).append(result)
    made = [make(group) for group in phases.values() for make in (alone_and_together, spoiled)]
    return [table for table in made if table.rows]


def alone_and_together(results: Sequence[WayResult]) -> Table:
    """Table I of the source paper, of one phase's results."""
    rows: list[Sequence[TableCell]] = [
        [
            result.cell.round_trip_ms or None,
            "all kinds" if result.cell.kind == TABLE else LONG,
            result.way.name,
            result.answers,
            100 * result.accuracy,
            result.tokens_per_s,
            result.tpot_ms,
            result.ttft_ms,
            result.speedup,
            _table_goal(result),
            result.tpot_ratio,
            result.over_two,
            result.mismatches,
            result.degraded,
        ]
        for result in results
        if result.cell.kind in (TABLE, LONG)
    ]
    columns = (
        "RTT edge-cloud ms", "questions", "tiers", "answers", "accuracy %",
        "tokens/s", "TPOT ms", "TTFT ms",
        "speed ÷ verifier alone", "goal", "TPOT ratio", "speed ÷ device-cloud", "mismatches",
        "degraded",
    )  # fmt: skip
    phase = results[0].phase
    title = (
        f"Tiers alone and together, {phase.name}: held-out questions, "
        f"RTT device-edge {NEAR_ROUND_TRIP_MS} ms, {RATE_MB_S:g} MB/s"
    )
    return Table(name=_name("tiers", phase), title=title, columns=columns, rows=rows)


def _table_goal(result: WayResult) -> float | None:
    return {"device-edge": TWO_TIERS_GOAL, "device-edge-cloud": THREE_TIERS_GOAL}.get(
        result.way.name
    )


def spoiled(results: Sequence[WayResult]) -> Table:
    """The device's drafts spoiled, of one phase's results."""
    rows: list[Sequence[TableCell]] = [
        [
            result.cell.round_trip_ms,
            result.way.name,
            result.way.drafter,
            result.answers,
            result.tokens_per_s,
            result.tpot_ms,
            result.ttft_ms,
            result.speedup,
            result.tpot_ratio,
            SPOILED_GOAL if result.way.name == "device-edge-cloud" else None,
            None if result.accepted_share is None else 100 * result.accepted_share,
            result.mismatches,
            result.degraded,
        ]
        for result in results
        if result.cell.kind == SPOILED
    ]
    columns = (
        "RTT edge-cloud ms", "tiers", "device's acceptance", "answers", "tokens/s", "TPOT ms",
        "TTFT ms", "speed ÷ cloud alone", "TPOT ratio", "goal", "drafts accepted %", "mismatches",
        "degraded",
    )  # fmt: skip
    phase = results[0].phase
    title = f"The device's drafts spoiled, {phase.name}: questions with long answers"
    return Table(name=_name("spoiled", phase), title=title, columns=columns, rows=rows)


def _name(table: str, phase: Phase) -> str:
    return f"{table}-emulated" if phase.steps_ms else table


def notes(natural: float, spoil: Mapping[str, float], prompts: int) -> dict[str, str]:
    """Notes on the measurements, for the head of the results."""
    replaced = ", ".join(f"{name}: {share:.3f}" for name, share in spoil.items())
    return {
        "the device's acceptance": f"{natural:.3f} by nature; share replaced: {replaced}",
        "questions with long answers": f"{prompts}",
    }
