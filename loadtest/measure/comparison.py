"""A candidate against a baseline, figure by figure, each measured in several repetitions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from loadtest.measure.results import Cell, Table
from loadtest.measure.spread import Spread, paired

Combine = Callable[[float, float], float]


def difference(candidate: float, baseline: float) -> float:
    return candidate - baseline


def ratio(candidate: float, baseline: float) -> float:
    return candidate / baseline if baseline else float("inf")


@dataclass(frozen=True, slots=True)
class Reading:
    """One figure of one repetition. `baseline` is None where only the candidate has it.

    `combine` says how the two are compared: `difference` for times, `ratio` for rates.
    """

    figure: str
    unit: str
    candidate: float
    baseline: float | None = None
    combine: Combine = difference


@dataclass(frozen=True, slots=True)
class Comparison:
    """A figure over all repetitions. `compared` is the spread of the per-repetition results."""

    figure: str
    unit: str
    candidate: Spread
    baseline: Spread | None
    compared: Spread | None
    combine: Combine


def compare(readings: Iterable[Reading]) -> dict[str, Comparison]:
    """Group readings by figure, in order of first appearance."""
    groups: dict[str, list[Reading]] = {}
    for reading in readings:
        groups.setdefault(reading.figure, []).append(reading)
    return {figure: _comparison(figure, group) for figure, group in groups.items()}


def _comparison(figure: str, group: Sequence[Reading]) -> Comparison:
    ours = [reading.candidate for reading in group]
    theirs = [reading.baseline for reading in group if reading.baseline is not None]
    combine = group[0].combine
    return Comparison(
        figure,
        group[0].unit,
        Spread.of(ours),
        Spread.of(theirs) if theirs else None,
        paired(ours, theirs, combine) if theirs else None,
        combine,
    )


def table(
    name: str, title: str, comparisons: Iterable[Comparison], *, baseline: str, candidate: str
) -> Table:
    """The comparisons as a table; `baseline` and `candidate` head their columns."""
    rows: list[Sequence[Cell]] = []
    for one in comparisons:
        added = one.compared if one.combine is difference else None
        share = one.compared if one.combine is ratio else None
        rows.append([one.figure, one.unit, one.baseline, one.candidate, added, share])
    return Table(name, title, ("figure", "unit", baseline, candidate, "added", "ratio"), rows)
