import statistics
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.measure.statistics import bootstrap, median_ratio, p99_ratio, sums_ratio

TIMES = st.floats(1e-4, 1.0)


@given(st.lists(TIMES, min_size=1, max_size=30))
def test_an_interval_holds_the_figure_of_equal_draws_only(values: list[float]) -> None:
    spread = bootstrap(values, statistics.median)
    assert spread.median == statistics.median(values)
    assert min(values) <= spread.low <= spread.high <= max(values)


def test_more_values_narrow_the_interval() -> None:
    few, many = (
        bootstrap([float(i % 10) for i in range(count)], statistics.fmean) for count in (20, 2000)
    )
    assert many.high - many.low < few.high - few.low


@given(st.lists(TIMES, min_size=1, max_size=20), st.floats(0.5, 8))
def test_a_constant_speed_up_is_found_whatever_the_times(
    times: Sequence[float], speed: float
) -> None:
    pairs = [(time, time / speed) for time in times]
    rows = [(10.0, time / speed, 10.0, time) for time in times]
    for spread in (median_ratio(pairs), p99_ratio(pairs), sums_ratio(rows)):
        for value in (spread.median, spread.low, spread.high):
            assert value == pytest.approx(speed)
