"""The line through samples tells what grows, and what only varies."""

from __future__ import annotations

import pytest

from loadtest.measure.process_samples import ProcessSample, ProcessSeries
from loadtest.soak.growth import Growth


def test_a_steady_rise_is_told_per_hour() -> None:
    growth = Growth.of([(float(s), 80.0 + s / 60) for s in range(0, 600, 2)])
    assert growth.per_hour == pytest.approx(60.0)
    assert growth.at(growth.begin) == pytest.approx(80.0, abs=0.1)


def test_what_goes_up_and_down_does_not_grow() -> None:
    growth = Growth.of([(float(s), 80.0 + s % 2) for s in range(601)])
    assert abs(growth.per_hour) < 0.1


def test_one_sample_is_flat_and_none_is_an_error() -> None:
    assert Growth.of([(5.0, 80.0)]).per_hour == 0.0
    with pytest.raises(ValueError, match="no samples"):
        Growth.of([])


def test_a_process_has_grown_since_it_was_warm() -> None:
    rss = [50.0, 80.0, 81.0, 83.0]
    series = ProcessSeries("x", 1, [ProcessSample(10.0 * n, mb, 9) for n, mb in enumerate(rss)])
    assert series.growth_mb(warm_s=10.0) == pytest.approx(3.0)
    assert series.growth_mb(warm_s=99.0) == 0.0
