import statistics
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.speculation.cells import KEYS, at, cells_of, worst_p99
from loadtest.speculation.plan import A80, DRAFTERS, NATURAL, QUICK, Stop, Way
from loadtest.speculation.report import final_figures, ratios, windows
from loadtest.speculation.statistics import bootstrap, median_ratio, p99_ratio, sums_ratio
from loadtest.speculation.stops import CO_LOCATED, DIRECT, SERVER_ONLY, Sample

TIMES = st.floats(1e-4, 1.0)
STOP = QUICK.stops[0]


def sample(number: int, way: Way | str, tpot: float | None, **fields: object) -> Sample:
    about = {
        "ttft": 0.05, "latency": 0.4, "gaps": (), "exact": True, "accepted": 0, "drafted": 0,
        "degraded": False,
    }  # fmt: skip
    return Sample(number, number, way, tpot, **{**about, **fields})  # type: ignore[arg-type]


def measured(speed: float, way: Way | str) -> list[Sample]:
    """Ten rounds, in which this way is `speed` times as fast as server-only streaming."""
    server = [sample(i, SERVER_ONLY, 0.01 * (1 + i)) for i in range(10)]
    ours = [sample(i, way, 0.01 * (1 + i) / speed) for i in range(10)]
    return [*server, *ours, sample(0, DIRECT, 0.01, gaps=(0.009, 0.011, 0.010))]


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


def test_a_cell_compares_the_same_rounds() -> None:
    (cell,) = cells_of(STOP, measured(2.0, Way(NATURAL)))
    assert cell.ratio.median == pytest.approx(2.0)
    assert cell.p99.median == pytest.approx(2.0)
    assert cell.step_ms == pytest.approx(10.0)
    assert cell.adaptive
    assert (cell.answers, cell.mismatches, cell.degraded) == (10, 0, 0)


def test_wrong_and_degraded_answers_are_counted() -> None:
    way = Way(NATURAL)
    samples = [
        sample(0, SERVER_ONLY, 0.01),
        sample(1, SERVER_ONLY, 0.01),
        sample(0, way, 0.005, drafted=40, accepted=10),
        sample(1, way, None, exact=False, degraded=True),
    ]
    (cell,) = cells_of(STOP, samples)
    assert (cell.answers, cell.mismatches, cell.degraded) == (2, 1, 1)
    assert cell.accepted_share == 0.25


def test_fixed_windows_and_the_co_located_baseline_are_no_candidates_for_the_worst_cell() -> None:
    cells = [
        *cells_of(STOP, measured(1.5, Way(A80))),
        *cells_of(STOP, measured(1.1, Way("0.3"))),
        *cells_of(STOP, measured(0.2, Way(NATURAL, "1"))),
        *cells_of(STOP, measured(0.3, CO_LOCATED)),
    ]
    assert worst_p99(cells).way == Way("0.3")


def test_the_final_line_has_exactly_the_agreed_keys() -> None:
    cells = [
        cell
        for stop in QUICK.stops
        for place, drafter in enumerate(DRAFTERS)
        for cell in cells_of(stop, measured(4.0 - place, Way(drafter)))
    ]
    figures = final_figures(
        cells, step_ms=10.0, exact_prompts=9, mismatches=1, device_edge_speedup=1.6
    )
    assert tuple(figures) == KEYS == (
        "tpot_ratio_rtt_5", "tpot_ratio_rtt_20", "tpot_ratio_rtt_50", "tpot_ratio_rtt_100",
        "a80_rtt_5", "a80_rtt_20", "a80_rtt_50", "a80_rtt_100",
        "step_ms", "worst_cell_p99_ratio", "exact_prompts", "mismatches", "device_edge_speedup",
    )  # fmt: skip
    assert [round(value or 0, 3) for value in figures.values()] == [
        *(4.0,) * 4, *(3.0,) * 4, 10.0, 1.0, 9, 1, 1.6,
    ]  # fmt: skip


def test_links_of_another_rate_are_not_in_the_final_line() -> None:
    other = Stop(5, 50.0, [Way(NATURAL)])
    cells = cells_of(other, measured(4.0, Way(NATURAL)))
    assert at(cells, 5, Way(NATURAL)) is None


def test_tables_have_a_cell_for_every_column() -> None:
    ways: list[Way | str] = [Way(NATURAL), Way(A80), Way(NATURAL, "8"), CO_LOCATED]
    cells = [cell for way in ways for cell in cells_of(STOP, measured(2.0, way))]
    for table, rows in ((ratios(cells), 2), (windows(cells), 3)):
        assert len(table.rows) == rows
        assert all(len(row) == len(table.columns) for row in table.rows)
