"""Loads compared: with devices and without, at the same sessions and at equal p95 TPOT. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from loadtest.capacity.load import LoadFigures
from loadtest.capacity.plan import BUSY_SHARE, GOODPUT, LIMIT, PLAIN, Variant
from loadtest.measure.statistics import Spread, paired


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A load's repetitions: a step's least length, sessions at a time, and how it was served."""

    step_ms: float
    sessions: int
    variant: Variant
    loads: Sequence[LoadFigures]

    @property
    def tokens_per_s(self) -> Spread:
        return Spread.of(load.tokens_per_s for load in self.loads)

    @property
    def p95_tpot_s(self) -> float:
        return statistics.median(load.p95_tpot for load in self.loads)

    def share(self, part: str, whole: str) -> float | None:
        """A count of the engine over another, None where there is none."""
        parts = sum(load.counts.get(part, 0) for load in self.loads)
        wholes = sum(load.counts.get(whole, 0) for load in self.loads)
        return parts / wholes if wholes else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A cell with devices, beside the one without. `same` is the ratio of output tokens per second
    at the same sessions, repetition by repetition. `equal_p95` is that of the highest rate of any
    number of sessions at which the p95 TPOT is no longer than without devices; None: of none."""

    cell: Cell
    plain: Cell
    same: Spread
    equal_p95: float | None


def compare(cells: Iterable[Cell]) -> list[Comparison]:
    """Each cell with devices against that without, of the same step and sessions."""
    known = list(cells)
    plain = {(c.step_ms, c.sessions): c for c in known if c.variant.choice == PLAIN}
    return [
        _comparison(cell, plain[cell.step_ms, cell.sessions], known)
        for cell in known
        if cell.variant.choice != PLAIN
    ]


def _comparison(cell: Cell, plain: Cell, cells: Sequence[Cell]) -> Comparison:
    alike = [c for c in cells if c.step_ms == cell.step_ms and c.variant == cell.variant]
    in_time = [c.tokens_per_s.median for c in alike if c.p95_tpot_s <= plain.p95_tpot_s]
    return Comparison(
        cell=cell,
        plain=plain,
        same=paired(
            [load.tokens_per_s for load in cell.loads],
            [load.tokens_per_s for load in plain.loads],
            lambda ours, theirs: ours / theirs,
        ),
        equal_p95=max(in_time) / plain.tokens_per_s.median if in_time else None,
    )


def figures(cells: Sequence[Cell]) -> Mapping[str, float | None]:
    """The best ratio at equal p95 TPOT under load, the worst at the same sessions, and wrong
    answers. All with the choice by goodput."""
    ours = [c for c in compare(cells) if c.cell.variant.choice == GOODPUT]
    busy = [
        c.equal_p95
        for c in ours
        if c.cell.sessions >= BUSY_SHARE * LIMIT and c.equal_p95 is not None
    ]
    return {
        "capacity_best": max(busy, default=None),
        "capacity_worst": min((c.same.median for c in ours), default=None),
        "mismatches": sum(load.mismatches for cell in cells for load in cell.loads),
    }
