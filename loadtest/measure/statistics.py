"""Percentiles, medians with their spread, and bootstrap intervals. Pure.

The percentile bootstrap of Efron and Tibshirani, An Introduction to the Bootstrap (1993),
chapter 13: draw as many values again, with replacement, and see how the figure varies.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

T = TypeVar("T")
DRAWS = 1000
TAIL = 0.025
"""Share of the draws that is left out at either end: 95 % intervals."""


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
    """A median (or another figure) with the lowest and highest value that it may have.

    Over repetitions these are the extremes, of a bootstrap the ends of the 95 % interval.
    """

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Median and extremes of these values. Raises ValueError when there are none."""
        measured = list(values)
        if not measured:
            raise ValueError("no values were measured")
        return cls(statistics.median(measured), min(measured), max(measured))


def paired(
    ours: Sequence[float], theirs: Sequence[float], combine: Callable[[float, float], float]
) -> Spread:
    """Combine the figures of the same repetition, such as differences or ratios.

    Raises ValueError when the numbers of repetitions differ or are zero.
    """
    return Spread.of(combine(a, b) for a, b in zip(ours, theirs, strict=True))


def bootstrap(values: Sequence[T], figure: Callable[[Sequence[T]], float]) -> Spread:
    """The figure of the values, with its 95 % interval. The same for the same values.

    Raises ValueError when there are none.
    """
    if not values:
        raise ValueError("no values were measured")
    random = Random(len(values))
    drawn = [figure(random.choices(values, k=len(values))) for _ in range(DRAWS)]
    return Spread(figure(values), percentile(drawn, TAIL), percentile(drawn, 1 - TAIL))


def median_ratio(pairs: Sequence[tuple[float, float]]) -> Spread:
    """The median of first over second, of figures that were measured in pairs."""
    return bootstrap([first / second for first, second in pairs], statistics.median)


def p99_ratio(pairs: Sequence[tuple[float, float]]) -> Spread:
    """The 99th percentile of the firsts over that of the seconds."""

    def figure(chosen: Sequence[tuple[float, float]]) -> float:
        firsts, seconds = zip(*chosen, strict=True)
        return percentile(firsts, 0.99) / percentile(seconds, 0.99)

    return bootstrap(pairs, figure)


def sums_ratio(rows: Sequence[tuple[float, float, float, float]]) -> Spread:
    """(a/b) ÷ (c/d) of the sums over rows: two rates over the same questions, compared."""

    def figure(chosen: Sequence[tuple[float, float, float, float]]) -> float:
        a, b, c, d = (float(sum(column)) for column in zip(*chosen, strict=True))
        return (a / b) / (c / d)

    return bootstrap(rows, figure)
