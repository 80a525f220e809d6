import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.measure.statistics import Spread, paired, percentile

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


def test_pairs_are_combined_within_a_repetition() -> None:
    assert paired([3.0, 30.0], [1.0, 10.0], lambda a, b: a - b) == Spread(11.0, 2.0, 20.0)


def test_unequal_repetitions_cannot_be_paired() -> None:
    with pytest.raises(ValueError):
        paired([1.0, 2.0], [1.0], lambda a, b: a)
