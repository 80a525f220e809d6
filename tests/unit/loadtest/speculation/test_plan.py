from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from loadtest.speculation.plan import (
    AUTO,
    DRAFTERS,
    FULL,
    NATURAL,
    QUICK,
    RATE_MB_S,
    DraftConfig,
    configs_of_round,
    seconds_for,
)


def test_the_full_plan_has_every_link_window_and_drafter() -> None:
    conditions = {(link.round_trip_ms, link.rate_mb_s) for link in FULL.links}
    assert conditions == {(ms, rate) for ms in (5, 20, 50, 100) for rate in (0.5, 2, 50)}
    for link in FULL.links:
        assert set(link.main) == {DraftConfig(drafter, AUTO) for drafter in DRAFTERS}
        windows = [config.window for config in link.sweep]
        assert windows == ["1", "2", "4", "8", "16", "22", "32"]
        assert {config.drafter for config in link.sweep} == {NATURAL}


def test_the_quick_plan_has_all_that_the_final_line_tells() -> None:
    conditions = {(link.round_trip_ms, link.rate_mb_s) for link in QUICK.links}
    assert conditions == {(ms, RATE_MB_S) for ms in (5, 20, 50, 100)}
    assert [link.round_trip_ms for link in QUICK.links if link.sweep] == [20]


@given(st.integers(1, 5), st.integers(0, 50))
def test_consecutive_rounds_ask_each_window_once_and_the_adaptive_one_always(
    every: int, first: int
) -> None:
    link = FULL.links[0]
    asked = [config for i in range(every) for config in configs_of_round(link, first + i, every)]
    assert {asked.count(config) for config in link.sweep} == {1}
    assert {asked.count(config) for config in link.main} == {every}


def test_a_slow_machine_shortens_the_links_not_the_run() -> None:
    link = QUICK.links[0]
    assert (
        seconds_for(link, replace(QUICK, budget_s=1e6), passed_s=60.0, remaining_links=4)
        == link.seconds
    )
    late = seconds_for(link, QUICK, passed_s=QUICK.budget_s - 100, remaining_links=4)
    assert 0 < late < link.seconds
    assert seconds_for(link, QUICK, passed_s=2 * QUICK.budget_s, remaining_links=4) > 0
