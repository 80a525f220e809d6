"""A small answer as a prediction of the larger model's."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.cascade.prediction import BEFORE, Prediction, resume, runs
from gateway.core.speculation.job import DraftRun

IDS = st.lists(st.integers(0, 9), max_size=40)


@given(IDS, st.integers(1, 16), st.integers(0, 5), st.lists(st.integers(0, 9), max_size=6))
def test_runs_say_every_id_once_at_its_place_with_what_precedes_it(
    ids: list[int], per_step: int, start: int, before: list[int]
) -> None:
    made = runs(ids, per_step, start, before)
    whole = [*before, *ids]
    said: list[int] = []
    for position, part, ahead in made:
        assert position == start + len(said) and 1 <= len(part) <= per_step
        here = len(before) + len(said)
        assert ahead == whole[max(0, here - BEFORE) : here]
        said += part
    assert said == ids


def test_an_engine_that_takes_no_drafts_is_offered_none() -> None:
    assert runs([1, 2], 0) == []
    assert Prediction(predicted=[1, 2], per_step=0).begin() == []


@given(IDS, st.integers(1, 16), st.lists(st.integers(1, 4), min_size=40, max_size=40))
def test_a_right_prediction_is_kept_whole_and_never_offered_twice(
    ids: list[int], per_step: int, steps: list[int]
) -> None:
    prediction = Prediction(predicted=ids, per_step=per_step)
    assert sum(len(run[1]) for run in prediction.begin()) == len(ids)
    for part in _parts(ids, steps):
        assert prediction.advance(part) == []
    assert prediction.kept == len(ids) and prediction.verified == ids


@given(IDS, IDS, st.integers(1, 8))
def test_what_is_offered_always_stands_beyond_what_is_verified(
    predicted: list[int], truth: list[int], per_step: int
) -> None:
    prediction = Prediction(predicted=predicted, per_step=per_step)
    offers: list[DraftRun] = prediction.begin()
    for number, token in enumerate(truth, 1):
        offers = prediction.advance([token])
        assert all(position >= number for position, _, _ in offers)
    assert prediction.verified == truth
    assert prediction.kept <= len(truth)


def test_after_a_wrong_id_it_goes_on_where_the_text_comes_back() -> None:
    prediction = Prediction(predicted=[1, 2, 3, 9, 5, 6, 7], per_step=8)
    prediction.begin()
    assert prediction.advance([1, 2, 3, 4]) == [], "4 occurs nowhere: nothing to go by yet"
    assert prediction.advance([5]) == [(5, [6, 7], [2, 3, 4, 5])]
    assert prediction.advance([6, 7]) == [] and prediction.kept == 5


def test_what_the_larger_model_leaves_out_is_left_out() -> None:
    prediction = Prediction(predicted=[10, 11, 12, 13, 14, 15], per_step=8)
    prediction.begin()
    assert prediction.advance([10, 12]) == [(2, [13, 14, 15], [10, 12])]
    assert prediction.advance([13, 14]) == [] and prediction.kept == 3


def test_a_single_id_far_from_its_place_is_chance() -> None:
    predicted = [5, *range(10, 30)]
    assert resume([1, 5], predicted, near=15) is None
    assert resume([1, 5], predicted, near=3) == 1
    assert resume([10, 11], predicted, near=15) == 3


@given(IDS, IDS, st.integers(0, 40))
def test_a_place_is_right_behind_the_last_verified_id(
    verified: list[int], predicted: list[int], near: int
) -> None:
    place = resume(verified, predicted, near)
    if place is not None:
        assert predicted[place - 1] == verified[-1] and place < len(predicted)


def _parts(ids: Sequence[int], steps: Sequence[int]) -> list[list[int]]:
    parts, place = [], 0
    for step in steps:
        if place < len(ids):
            parts.append(list(ids[place : place + step]))
            place += step
    return parts
