"""Medians and percentiles with what chance may have added: bootstrap intervals. Pure.

The percentile bootstrap of Efron and Tibshirani, An Introduction to the Bootstrap (1993),
chapter 13: draw as many values again, with replacement, and see how the figure varies.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar

from loadtest.measure.spread import Spread, percentile

T = TypeVar("T")
DRAWS = 1000
TAIL = 0.025
"""Of the draws left out at either end: 95 % intervals."""


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
