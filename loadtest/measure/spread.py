"""Repeated measurements: interleaved, and reported as a median with its spread."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the values lie, interpolated linearly.

    Raises ValueError when there are none.
    """
    if not values:
        raise ValueError("no values were measured")
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


@dataclass(frozen=True, slots=True)
class Spread:
    """A median over repetitions, with the lowest and the highest of them."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Raises ValueError when there are no values."""
        measured = list(values)
        if not measured:
            raise ValueError("no values were measured")
        return cls(statistics.median(measured), min(measured), max(measured))


def interleaved(
    repetitions: int, measures: Mapping[str, Callable[[], T]], step: Callable[[str], None]
) -> dict[str, list[T]]:
    """Run every measure once per repetition, so that slow drifts of the machine hit all alike.

    Every other repetition runs backwards: no measure always comes right after the same other
    one. `step` is told each measure's name before it runs.
    """
    results: dict[str, list[T]] = {name: [] for name in measures}
    for repetition in range(repetitions):
        names = list(measures)
        for name in names if repetition % 2 == 0 else reversed(names):
            step(name)
            results[name].append(measures[name]())
    return results


def paired(
    ours: Sequence[float], theirs: Sequence[float], combine: Callable[[float, float], float]
) -> Spread:
    """Combine the figures of the same repetition, such as differences or ratios.

    Raises ValueError when the numbers of repetitions differ or are zero.
    """
    return Spread.of(combine(a, b) for a, b in zip(ours, theirs, strict=True))
