"""What tokens tell of an answer, and the confidence that a predictor makes of it."""

from __future__ import annotations

import math
from statistics import fmean
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.files.predictors import load_predictor
from gateway.core.cascade.decision import judge
from gateway.core.cascade.features import FROM_TOKENS, LEAST, LOW, RunningFeatures, features
from gateway.core.cascade.predictor import (
    ConfidenceModel,
    Predictor,
    PredictorProblem,
    Term,
    calibrated,
    from_data,
    to_data,
)
from gateway.errors import ConfigError

LOGPROBS = st.lists(st.floats(min_value=-40, max_value=0), min_size=1, max_size=60)
WINDOWS = st.integers(1, 20)


@given(LOGPROBS, WINDOWS)
def test_features_are_complete_finite_and_in_order(logprobs: list[float], window: int) -> None:
    found = features(logprobs, window)
    assert set(found) == set(FROM_TOKENS)
    assert all(math.isfinite(value) for value in found.values())
    near = 1e-9
    assert LEAST <= found["minimum"] <= found["worst_window"] + near
    assert found["worst_window"] <= found["last_window"] + near
    assert found["minimum"] <= found["mean"] + near <= 2 * near
    assert 0 <= found["low_share"] <= 1


@given(LOGPROBS, WINDOWS)
def test_a_window_as_long_as_the_answer_is_its_mean(logprobs: list[float], more: int) -> None:
    found = features(logprobs, len(logprobs) + more - 1)
    assert found["worst_window"] == found["last_window"] == pytest.approx(found["mean"])


@given(LOGPROBS, WINDOWS)
def test_taken_one_by_one_tokens_tell_what_they_tell_together(
    logprobs: list[float], window: int
) -> None:
    running = RunningFeatures(window=window)
    for end, value in enumerate(logprobs, 1):
        running.add(value)
        assert running.values() == pytest.approx(by_definition(logprobs[:end], window), abs=1e-9)
        assert running.values() == features(logprobs[:end], window)


def by_definition(logprobs: list[float], window: int) -> dict[str, float]:
    known = [max(value, LEAST) for value in logprobs]
    width = min(window, len(known))
    means = [fmean(known[at : at + width]) for at in range(len(known) - width + 1)]
    return {
        "mean": fmean(known),
        "minimum": min(known),
        "worst_window": min(means),
        "last_window": means[-1],
        "length": math.log(1 + len(known)),
        "low_share": sum(value < LOW for value in known) / len(known),
    }


@given(LOGPROBS, WINDOWS, st.floats(min_value=-40, max_value=0))
def test_a_further_token_never_raises_minimum_or_worst_window(
    logprobs: list[float], window: int, next: float
) -> None:
    before, after = features(logprobs, window), features([*logprobs, next], window)
    assert after["minimum"] <= before["minimum"]
    if len(logprobs) >= window:
        assert after["worst_window"] <= before["worst_window"] + 1e-9


def test_no_tokens_have_no_features_and_no_confidence() -> None:
    assert features([]) == {}
    assert model().confidence({}) == 0.0


@pytest.mark.parametrize("strange", [float("nan"), float("-inf")])
def test_what_is_no_log_probability_counts_as_the_least(strange: float) -> None:
    assert features([-0.1, strange])["minimum"] == LEAST


def model(**fields: Any) -> ConfidenceModel:
    given: dict[str, Any] = {
        "terms": [
            Term(feature="mean", weight=2.0, centre=-0.1, scale=0.05),
            Term(feature="minimum", weight=1.0),
        ],
        "thresholds": {0.9: 0.3, 0.99: 0.8},
    }
    return ConfidenceModel(**(given | fields))


@given(st.floats(-30, 0), st.floats(-30, 0))
def test_confidence_is_a_probability_and_rises_with_a_positive_weight(a: float, b: float) -> None:
    low, high = sorted((a, b))
    given = model()
    less = given.confidence({"mean": low, "minimum": -1.0})
    more = given.confidence({"mean": high, "minimum": -1.0})
    assert 0.0 <= less <= more <= 1.0


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=8),
    st.lists(st.floats(0, 1), min_size=8, max_size=8),
    st.floats(-1, 2),
    st.floats(-1, 2),
)
def test_a_rising_curve_keeps_the_order(
    places: list[float], shares: list[float], a: float, b: float
) -> None:
    curve = list(zip(sorted(places), sorted(shares), strict=False))
    low, high = sorted((a, b))
    assert calibrated(low, curve) <= calibrated(high, curve) + 1e-12
    assert curve[0][1] <= calibrated(a, curve) <= curve[-1][1]


@pytest.mark.parametrize(
    ("quality", "threshold"), [(0.5, 0.3), (0.9, 0.3), (0.95, 0.8), (0.99, 0.8), (0.995, 1.0)]
)
def test_a_target_takes_the_threshold_of_the_next_stricter_one(
    quality: float, threshold: float
) -> None:
    assert model().threshold(quality) == threshold


def test_a_predictor_is_the_same_after_writing_and_reading() -> None:
    predictor = Predictor({"logprobs": model(floors={"mean": -0.4}, curve=[(0.1, 0.2)])}, 3)
    again = from_data(orjson.loads(orjson.dumps(to_data(predictor))))
    assert to_data(again) == to_data(predictor)
    values = {"mean": -0.2, "minimum": -0.5}
    assert again.models["logprobs"].confidence(values) == pytest.approx(
        predictor.models["logprobs"].confidence(values)
    )


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"version": 2}, "version"),
        ({"window": 0}, "window"),
        ({"methods": {}}, "logprobs"),
        ({"methods": {"guess": {}}}, "guess"),
        ({"methods": 5}, "not a predictor"),
        (
            {"methods": {"mean": to_data(Predictor({"logprobs": model()}))["methods"]["logprobs"]}},
            "minimum is not known",
        ),
    ],
)
def test_a_file_that_is_no_predictor_is_refused_by_name(
    change: dict[str, Any], complaint: str
) -> None:
    data = to_data(Predictor({"logprobs": model()})) | change
    with pytest.raises(PredictorProblem, match=complaint):
        from_data(data)


def test_a_feature_that_nobody_knows_is_refused() -> None:
    data = to_data(Predictor({"logprobs": model(terms=[Term(feature="luck", weight=1.0)])}))
    with pytest.raises(PredictorProblem, match="luck"):
        from_data(data)


def test_the_shipped_rule_passes_only_answers_without_a_doubtful_stretch() -> None:
    rule = load_predictor("cautious").models["logprobs"]
    sure, doubtful = features([-0.001] * 20, 8), features([-0.001] * 20 + [-0.5] * 8, 8)
    threshold = rule.threshold(0.99)
    assert judge(rule, "logprobs", sure, threshold).accepted
    assert judge(rule, "logprobs", doubtful, threshold).reason == "confidence"


def test_a_predictors_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"cascade\.predictor: nowhere\.json"):
        load_predictor("nowhere.json")


@pytest.mark.parametrize(
    ("method", "values", "cut", "reason"),
    [
        ("logprobs", {"mean": -3.0, "minimum": -9.0}, False, "confidence"),
        ("agreement", {"mean": -3.0, "minimum": -9.0}, False, "disagreement"),
        ("self-check", {"mean": -3.0, "minimum": -9.0}, False, "self-check"),
        ("logprobs", {"mean": -0.01, "minimum": -0.1}, True, "length-cut"),
        ("logprobs", {"mean": -0.01, "minimum": -0.1}, False, None),
    ],
)
def test_every_escalation_has_its_reason(
    method: str, values: dict[str, float], cut: bool, reason: str | None
) -> None:
    assert judge(model(), method, values, 0.8, length_cut=cut).reason == reason


def test_what_is_below_a_floor_goes_up_whatever_the_confidence() -> None:
    values = {"mean": -0.01, "minimum": -0.1, "worst_window": -2.0}
    floored = model(floors={"worst_window": -1.0})
    assert judge(floored, "logprobs", values, 0.01).reason == "worst-window"
    assert judge(floored, "logprobs", values, 0.0).accepted, "threshold 0 accepts everything"
