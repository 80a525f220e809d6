from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.measure.spread import Spread, interleaved, paired, percentile

numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30)


@given(numbers, st.floats(0, 1))
def test_a_percentile_lies_within_the_values(values: list[float], share: float) -> None:
    assert min(values) <= percentile(values, share) <= max(values)


@given(numbers)
def test_the_ends_of_the_scale_are_the_extremes(values: list[float]) -> None:
    assert percentile(values, 0.0) == min(values)
    assert percentile(values, 1.0) == max(values)


def test_percentiles_are_interpolated() -> None:
    assert percentile([4.0, 1.0, 2.0, 3.0], 0.5) == 2.5


@given(numbers)
def test_a_spread_is_ordered(values: list[float]) -> None:
    spread = Spread.of(values)
    assert spread.low <= spread.median <= spread.high


def test_nothing_measured_is_an_error_and_no_zero() -> None:
    with pytest.raises(ValueError, match="no values"):
        Spread.of([])
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_repetitions_are_interleaved_and_turn_round() -> None:
    calls: list[str] = []

    def measure(name: str) -> int:
        calls.append(name)
        return len(calls)

    measures = {name: partial(measure, name) for name in "abc"}
    found = interleaved(3, measures, lambda name: None)
    assert "".join(calls) == "abccbaabc"
    assert found == {"a": [1, 6, 7], "b": [2, 5, 8], "c": [3, 4, 9]}


def test_each_step_is_told_before_it_runs() -> None:
    told: list[str] = []
    interleaved(1, {"a": lambda: told.append("ran")}, told.append)
    assert told == ["a", "ran"]


def test_pairs_are_combined_within_a_repetition() -> None:
    assert paired([3.0, 30.0], [1.0, 10.0], lambda a, b: a - b) == Spread(11.0, 2.0, 20.0)


def test_unequal_repetitions_cannot_be_paired() -> None:
    with pytest.raises(ValueError):
        paired([1.0, 2.0], [1.0], lambda a, b: a)
