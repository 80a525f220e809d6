"""A test of homogeneity: were two samples drawn from the same distribution?"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence

LEAST_EXPECTED = 5
"""Cells in which a sample would expect fewer are joined, as usual for the chi-square test."""


def same_distribution(one: Sequence[Hashable], other: Sequence[Hashable]) -> float:
    """Pearson's chi-square test of homogeneity of two samples: the p-value.

    Cells too small for the test are joined in one. Raises ValueError when all are one cell, as
    such samples could tell nothing.
    """
    first, second = Counter(one), Counter(other)
    share = len(one) / (len(one) + len(other))
    small = min(share, 1 - share)
    cells: list[tuple[int, int]] = []
    rest = (0, 0)
    for value in first.keys() | second.keys():
        cell = (first[value], second[value])
        if sum(cell) * small < LEAST_EXPECTED:
            rest = (rest[0] + cell[0], rest[1] + cell[1])
        else:
            cells.append(cell)
    if sum(rest) * small >= LEAST_EXPECTED:
        cells.append(rest)
    if len(cells) < 2:
        raise ValueError("the samples fall into a single cell: take more, or a flatter model")
    statistic = 0.0
    total = [sum(cell[side] for cell in cells) for side in (0, 1)]
    for cell in cells:
        for side in (0, 1):
            expected = sum(cell) * total[side] / sum(total)
            statistic += (cell[side] - expected) ** 2 / expected
    return chi_square_tail(statistic, len(cells) - 1)


def chi_square_tail(statistic: float, freedom: int) -> float:
    """P(X >= statistic) for X of the chi-square distribution with `freedom` degrees, exactly.

    By the recursion Q(a + 1, x) = Q(a, x) + x**a exp(-x) / Gamma(a + 1) of the incomplete gamma
    function (DLMF 8.8.6), from Q(1/2, x) = erfc(sqrt(x)) or Q(1, x) = exp(-x).
    """
    x = statistic / 2
    if x <= 0:
        return 1.0
    a, tail = (1.0, math.exp(-x)) if freedom % 2 == 0 else (0.5, math.erfc(math.sqrt(x)))
    while a < freedom / 2:
        tail += math.exp(a * math.log(x) - x - math.lgamma(a + 1))
        a += 1
    return tail
