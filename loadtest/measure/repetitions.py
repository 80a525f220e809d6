"""Repeated measurements: interleaved, and a candidate compared with a baseline within each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from loadtest.measure.results import Cell, Table
from loadtest.measure.statistics import Spread, paired

T = TypeVar("T")
Combine = Callable[[float, float], float]


def interleaved(
    repetitions: int, measures: Mapping[str, Callable[[], T]], step: Callable[[str], None]
) -> dict[str, list[T]]:
    """Run every measure once per repetition, so that slow drifts of the machine hit all alike.

    Every other repetition runs backwards: no measure always comes right after the same other
    one. `step` is called with each measure's name before it runs.
    """
    results: dict[str, list[T]] = {name: [] for name in measures}
    for repetition in range(repetitions):
        names = list(measures)
        for name in names if repetition % 2 == 0 else reversed(names):
            step(name)
            results[name].append(measures[name]())
    return results


def difference(candidate: float, baseline: float) -> float:
    return candidate - baseline


def ratio(candidate: float, baseline: float) -> float:
    return candidate / baseline if baseline else float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A figure of one repetition. `baseline` is None where only the candidate has it.

    `combine` says how the two are compared: `difference` for times, `ratio` for rates.
    """

    figure: str
    unit: str
    candidate: float
    baseline: float | None = None
    combine: Combine = difference


def milliseconds(figure: str, candidate_s: float, baseline_s: float) -> Reading:
    """A reading in milliseconds of two times that are given in seconds."""
    return Reading(figure=figure, unit="ms", candidate=candidate_s * 1e3, baseline=baseline_s * 1e3)


@dataclass(frozen=True, slots=True, kw_only=True)
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
        figure=figure,
        unit=group[0].unit,
        candidate=Spread.of(ours),
        baseline=Spread.of(theirs) if theirs else None,
        compared=paired(ours, theirs, combine) if theirs else None,
        combine=combine,
    )


def table(
    name: str, title: str, comparisons: Iterable[Comparison], *, baseline: str, candidate: str
) -> Table:
    """The comparisons as a table; `baseline` and `candidate` head their columns."""
    rows: list[Sequence[Cell]] = []
    for comparison in comparisons:
        added = comparison.compared if comparison.combine is difference else None
        share = comparison.compared if comparison.combine is ratio else None
        rows.append(
            [
                comparison.figure,
                comparison.unit,
                comparison.baseline,
                comparison.candidate,
                added,
                share,
            ]
        )
    return Table(
        name=name,
        title=title,
        columns=("figure", "unit", baseline, candidate, "added", "ratio"),
        rows=rows,
    )
