from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.measure.failure import BenchmarkFailure
from loadtest.speculation.plan import (
    AUTO,
    DRAFTERS,
    FULL,
    NATURAL,
    QUICK,
    RATE_MB_S,
    Way,
    seconds_for,
    ways_of_round,
)
from loadtest.speculation.settings import check_cores, read_settings


def test_the_full_plan_has_every_link_window_and_drafter() -> None:
    links = {(stop.round_trip_ms, stop.rate_mb_s) for stop in FULL.stops}
    assert links == {(ms, rate) for ms in (5, 20, 50, 100) for rate in (0.5, 2, 50)}
    for stop in FULL.stops:
        assert set(stop.main) == {Way(drafter, AUTO) for drafter in DRAFTERS}
        windows = [way.window for way in stop.sweep]
        assert windows == ["1", "2", "4", "8", "16", "22", "32"]
        assert {way.drafter for way in stop.sweep} == {NATURAL}


def test_the_quick_plan_has_all_that_the_final_line_tells() -> None:
    links = {(stop.round_trip_ms, stop.rate_mb_s) for stop in QUICK.stops}
    assert links == {(ms, RATE_MB_S) for ms in (5, 20, 50, 100)}
    assert [stop.round_trip_ms for stop in QUICK.stops if stop.sweep] == [20]


@given(st.integers(1, 5), st.integers(0, 50))
def test_consecutive_rounds_ask_each_window_once_and_the_adaptive_one_always(
    every: int, first: int
) -> None:
    stop = FULL.stops[0]
    asked = [way for i in range(every) for way in ways_of_round(stop, first + i, every)]
    assert {asked.count(way) for way in stop.sweep} == {1}
    assert {asked.count(way) for way in stop.main} == {every}


def test_a_slow_machine_shortens_the_links_not_the_run() -> None:
    stop = QUICK.stops[0]
    assert seconds_for(stop, replace(QUICK, budget_s=1e6), 60.0, 4) == stop.seconds
    late = seconds_for(stop, QUICK, QUICK.budget_s - 100, 4)
    assert 0 < late < stop.seconds
    assert seconds_for(stop, QUICK, 2 * QUICK.budget_s, 4) > 0


def test_quick_is_chosen_by_the_environment(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("")
    python.chmod(0o700)
    environment = {"TIERFLOW_ENGINE_PYTHON": str(python)}
    assert read_settings(environment).plan is FULL
    assert read_settings(environment | {"QUICK": "1"}).plan is QUICK


def test_a_missing_engine_is_told_with_the_command_that_makes_it() -> None:
    with pytest.raises(BenchmarkFailure, match="make bench-speculation") as failure:
        read_settings({})
    assert failure.value.exit_code == 2


def test_one_core_is_refused() -> None:
    with pytest.raises(BenchmarkFailure, match="2 are needed") as failure:
        check_cores({3})
    assert failure.value.exit_code == 2
    check_cores({0, 3})
