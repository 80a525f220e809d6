"""The chi-square test itself: known quantiles, and whether it tells distributions apart."""

from __future__ import annotations

import random

import pytest

from tests.reference_verifier.statistics import chi_square_tail, same_distribution


@pytest.mark.parametrize(
    ("freedom", "statistic", "tail"),
    [
        # Table of critical values, NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.4.
        (1, 3.841, 0.05),
        (1, 10.828, 0.001),
        (2, 5.991, 0.05),
        (5, 11.070, 0.05),
        (10, 29.588, 0.001),
        (31, 44.985, 0.05),
        (3, 0.0, 1.0),
    ],
)
def test_the_tail_has_the_tabled_quantiles(freedom: int, statistic: float, tail: float) -> None:
    assert chi_square_tail(statistic, freedom) == pytest.approx(tail, rel=2e-3)


def drawn(weights: list[float], seed: int) -> list[int]:
    return random.Random(seed).choices(range(len(weights)), weights, k=250)


def test_other_distributions_are_told_apart_and_the_same_are_not() -> None:
    assert same_distribution(drawn([5, 3, 2], 1), drawn([5, 3, 2], 2)) > 0.001
    assert same_distribution(drawn([5, 3, 2], 1), drawn([3, 3, 4], 2)) < 0.001


def test_rare_values_count_together() -> None:
    one, other = list(range(1, 41)), list(range(41, 81))
    assert same_distribution([0] * 60 + one, [0] * 60 + other) == pytest.approx(1.0)
    assert same_distribution([0] * 60 + one, [0] * 100) < 0.001


def test_samples_that_can_tell_nothing_are_an_error() -> None:
    with pytest.raises(ValueError, match="single cell"):
        same_distribution([1] * 50, [1] * 50)
