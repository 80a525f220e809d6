"""Fitting a predictor, choosing thresholds, and the cost-quality curve."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.calibration.cost_curve import Sample, accuracies, at, at_random, sweep
from gateway.calibration.fitting import TooLittle, fit
from gateway.calibration.linear import solve
from gateway.calibration.reliability import expected_error, isotonic, reliability
from gateway.calibration.thresholds import threshold_for, with_thresholds
from gateway.core.cascade.predictor import ConfidenceModel, Term

IDENTITY = ConfidenceModel(terms=[Term(feature="mean", weight=1.0)], link="exp")
"""Confidence is exp(mean)."""


def drawn(count: int, seed: int, weight: float = 4.0) -> list[Sample]:
    """The lower tier is right with probability 1 / (1 + exp(-(1 + weight x))), x uniform -1..1."""
    rng, samples = random.Random(seed), []
    for _ in range(count):
        x = rng.uniform(-1, 1)
        right = rng.random() < 1 / (1 + math.exp(-(1 + weight * x)))
        samples.append(
            Sample(
                values={"mean": x, "minimum": rng.uniform(-1, 0)},
                lower_right=right,
                upper_right=rng.random() < 0.95,
            )
        )
    return samples


@given(
    st.integers(1, 4).flatmap(
        lambda n: st.tuples(
            st.lists(st.lists(st.floats(-5, 5), min_size=n, max_size=n), min_size=n, max_size=n),
            st.lists(st.floats(-5, 5), min_size=n, max_size=n),
        )
    )
)
def test_equations_are_solved(system: tuple[list[list[float]], list[float]]) -> None:
    matrix, wanted = system
    size = len(wanted)
    matrix = [
        [v + (20.0 if i == j else 0.0) for j, v in enumerate(r)] for i, r in enumerate(matrix)
    ]
    right = [sum(matrix[i][j] * wanted[j] for j in range(size)) for i in range(size)]
    assert solve(matrix, right) == pytest.approx(wanted, abs=1e-6)


def test_the_fit_finds_the_probabilities_that_answers_were_drawn_with() -> None:
    samples = drawn(4000, seed=1)
    model = fit(samples, ("mean", "minimum"), l2=0.01)
    for x in (-0.8, -0.2, 0.3, 0.9):
        true = 1 / (1 + math.exp(-(1 + 4 * x)))
        assert model.confidence({"mean": x, "minimum": -0.5}) == pytest.approx(true, abs=0.06)
    assert expected_error(reliability(model, drawn(4000, seed=2))) < 0.03


def test_answers_that_are_told_apart_perfectly_end_the_fit_all_the_same() -> None:
    samples = [
        Sample(values={"mean": -x / 10}, lower_right=x < 20, upper_right=True) for x in range(40)
    ]
    model = fit(samples, ("mean",))
    scores = [model.confidence(sample.values) for sample in samples]
    assert scores == sorted(scores, reverse=True)


def test_a_feature_that_never_varies_does_no_harm() -> None:
    samples = [
        Sample(
            values={"mean": s.values["mean"], "minimum": -1.0},
            lower_right=s.lower_right,
            upper_right=True,
        )
        for s in drawn(200, 3)
    ]
    assert 0.0 < fit(samples, ("mean", "minimum")).confidence({"mean": 0.0, "minimum": -1.0}) < 1.0


def test_a_weight_counts_as_so_many_questions() -> None:
    samples = drawn(60, seed=4)
    doubled = [
        Sample(values=s.values, lower_right=s.lower_right, upper_right=s.upper_right, weight=2.0)
        for s in samples
    ]
    once, twice = fit(doubled, ("mean",)), fit([*samples, *samples], ("mean",))
    assert once.terms[0].weight == pytest.approx(twice.terms[0].weight, abs=1e-6)


@pytest.mark.parametrize("right", [True, False])
def test_nothing_is_learned_from_answers_that_are_all_alike(right: bool) -> None:
    with pytest.raises(TooLittle):
        fit([Sample(values={"mean": -1.0}, lower_right=right, upper_right=True)] * 60, ("mean",))


SAMPLES = st.lists(
    st.builds(
        Sample,
        values=st.floats(-3, 0).map(lambda mean: {"mean": mean}),
        lower_right=st.booleans(),
        upper_right=st.booleans(),
        lower_tokens=st.just(1),
        upper_tokens=st.integers(1, 30),
    ),
    min_size=1,
    max_size=60,
)


@given(SAMPLES, st.floats(0.5, 0.999), st.floats(0, 3))
def test_a_threshold_keeps_its_target_on_what_it_was_chosen_on(
    samples: list[Sample], quality: float, z: float
) -> None:
    threshold = threshold_for(IDENTITY, samples, quality, z)
    assert at(IDENTITY, samples, threshold).accuracy >= quality * accuracies(samples)[1] - 1e-9 or (
        threshold == 1.0
    )


@given(SAMPLES, st.floats(0.5, 0.9), st.floats(0, 0.09))
def test_a_stricter_target_never_has_a_lower_threshold(
    samples: list[Sample], quality: float, more: float
) -> None:
    low, high = (threshold_for(IDENTITY, samples, q) for q in (quality, quality + more))
    assert low <= high


@given(SAMPLES)
def test_the_curve_goes_from_always_the_top_to_never(samples: list[Sample]) -> None:
    points = sweep(IDENTITY, samples)
    lower, upper = accuracies(samples)
    first, last = points[0], points[-1]
    assert (first.saving, first.escalated) == (0.0, 1.0)
    assert first.accuracy == pytest.approx(upper)
    assert last.saving == pytest.approx(1.0) and last.accuracy == pytest.approx(lower)
    savings = [point.saving for point in points]
    assert savings == sorted(savings)


@given(SAMPLES, st.floats(0, 1))
def test_chance_lies_on_the_line_between_both_tiers(samples: list[Sample], share: float) -> None:
    lower, upper = accuracies(samples)
    assert at_random(samples, share).accuracy == pytest.approx(upper + share * (lower - upper))


@given(SAMPLES, st.integers(2, 8))
def test_an_isotonic_curve_rises_and_keeps_the_share_that_is_right(
    samples: list[Sample], most: int
) -> None:
    curve = isotonic(IDENTITY, samples, most)
    assert 1 <= len(curve) <= most
    assert [x for x, _ in curve] == sorted(x for x, _ in curve)
    assert [y for _, y in curve] == sorted(y for _, y in curve)
    assert all(0.0 <= y <= 1.0 for _, y in curve)


def test_targets_get_a_threshold_each() -> None:
    model = with_thresholds(fit(drawn(800, 5), ("mean",)), drawn(800, 5), (0.9, 0.99))
    assert set(model.thresholds) == {0.9, 0.99}
