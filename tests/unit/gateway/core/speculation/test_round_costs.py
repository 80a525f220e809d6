from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.speculation.round_costs import (
    ALLOWANCE_SHARE,
    FIRST_ALLOWANCE_S,
    MAX_ALLOWANCE_S,
    ROUNDS_TO_KNOW,
    STALE_S,
    TOKENS_TO_KNOW,
    RoundCosts,
    RoundTimes,
)

ROUNDS = st.lists(st.tuples(st.integers(1, 17), st.floats(1e-4, 1.0)), min_size=1, max_size=30)


def times(*rounds: tuple[int, float]) -> RoundTimes:
    line = RoundTimes()
    for rows, seconds in rounds:
        line.observe(rows, seconds)
    return line


def test_a_line_through_rounds_of_several_sizes() -> None:
    line = times(*[(rows, 0.010 + 0.002 * rows) for rows in (2, 9, 5, 3, 9)])
    assert line.at(2) == pytest.approx(0.014)
    assert line.at(9) == pytest.approx(0.028)


def test_of_rounds_of_one_size_larger_ones_are_reckoned_in_proportion() -> None:
    line = times((4, 0.02), (4, 0.02))
    assert line.at(2) == pytest.approx(0.02)
    assert line.at(8) == pytest.approx(0.04)


@given(ROUNDS, st.integers(1, 17))
def test_more_rows_never_take_less(rounds: list[tuple[int, float]], rows: int) -> None:
    line = times(*rounds)
    assert 0.0 < line.at(rows) <= line.at(rows + 1) * (1 + 1e-9)


def test_costs_are_known_after_a_few() -> None:
    costs = RoundCosts()
    for number in range(TOKENS_TO_KNOW):
        assert costs.token_s is None
        costs.streamed(1, 0.01, number)
    assert costs.token_s == pytest.approx(0.01)
    for number in range(ROUNDS_TO_KNOW):
        assert not costs.known
        costs.round(5, 5, 0.03, number)
    assert costs.known


def test_a_stream_that_begins_anew_costs_what_was_measured_beyond_a_token() -> None:
    costs = RoundCosts()
    costs.streamed(1, 0.01, 0.0)
    assert costs.return_s == 0.0
    costs.round(1, 1, 0.03, 0.0)
    assert costs.return_s == pytest.approx(0.02)
    costs.returned(0.05, 0.0)
    assert costs.return_s == pytest.approx(0.04)


def test_trials_end_when_their_allowance_is_spent_and_streaming_fills_it_again() -> None:
    costs = RoundCosts()
    assert costs.may_try(0.0)
    costs.lost(FIRST_ALLOWANCE_S)
    assert not costs.may_try(0.0)
    costs.streamed(1, 1.0, 0.0)
    assert costs.may_try(0.0)


def test_rounds_that_were_just_measured_need_no_trial() -> None:
    costs = RoundCosts()
    for _ in range(ROUNDS_TO_KNOW):
        costs.round(5, 5, 0.01, 100.0)
    assert not costs.may_try(100.0)
    assert costs.may_try(101.0 + STALE_S)


@given(st.lists(st.tuples(st.booleans(), st.floats(1e-4, 3.0)), max_size=60))
def test_trials_never_cost_more_than_their_share_and_one_round(
    moments: list[tuple[bool, float]],
) -> None:
    costs, streamed_s, lost_s, last_s = RoundCosts(), 0.0, 0.0, 0.0
    for is_trial, seconds in moments:
        if not is_trial:
            costs.streamed(1, seconds, 0.0)
            streamed_s += seconds
        elif costs.may_try(0.0):
            costs.lost(seconds)
            lost_s, last_s = lost_s + seconds, max(last_s, seconds)
        assert costs.allowance_s <= MAX_ALLOWANCE_S
    assert lost_s <= FIRST_ALLOWANCE_S + ALLOWANCE_SHARE * streamed_s + last_s + 1e-9
