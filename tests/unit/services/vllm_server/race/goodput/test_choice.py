"""The choice is the best there is: against all others, on small cases."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.vllm_server.race.goodput.choice import choose

CHANCES = st.lists(
    st.lists(st.sampled_from([0.05, 0.2, 0.5, 0.5, 0.8, 0.9, 1.0]), max_size=4).map(
        lambda row: sorted(row, reverse=True)
    ),
    max_size=4,
)
TIMES = st.lists(st.floats(0.001, 1.0), min_size=17, max_size=17)


def goodput(
    chances: Sequence[Sequence[float]],
    counts: Sequence[int],
    requests: int,
    seconds: Sequence[float],
) -> float:
    gained = sum(sum(row[:count]) for row, count in zip(chances, counts, strict=True))
    return (requests + gained) / seconds[sum(counts)]


@given(CHANCES, st.integers(0, 8), TIMES, st.integers(0, 16))
def test_no_other_choice_of_the_first_of_each_brings_more(
    chances: list[list[float]], others: int, times: list[float], room: int
) -> None:
    requests = len(chances) + others
    seconds = times[: room + 1]
    counts = choose(chances, requests=requests, seconds=seconds)
    assert sum(counts) <= room
    everything = product(*(range(len(row) + 1) for row in chances))
    best = max(
        goodput(chances, other, requests, seconds) for other in everything if sum(other) <= room
    )
    assert goodput(chances, counts, requests, seconds) == pytest.approx(best)


@given(CHANCES, TIMES, st.floats(0.001, 1.0))
def test_no_step_takes_longer_than_it_may_for_drafts(
    chances: list[list[float]], times: list[float], longest_s: float
) -> None:
    counts = choose(chances, requests=8, seconds=times, longest_s=longest_s)
    assert sum(counts) == 0 or times[sum(counts)] <= longest_s


@given(CHANCES)
def test_where_drafts_cost_nothing_all_that_may_be_right_are_verified(
    chances: list[list[float]],
) -> None:
    counts = choose(chances, requests=len(chances), seconds=[0.01] * 17)
    assert counts == [len(row) for row in chances]


@given(CHANCES)
def test_where_a_row_costs_a_step_none_is(chances: list[list[float]]) -> None:
    requests = len(chances)
    seconds = [0.01 * (max(requests, 1) + drafts) for drafts in range(17)]
    assert sum(choose(chances, requests=requests, seconds=seconds)) == 0


def test_less_than_the_least_gain_is_left_out() -> None:
    chances, seconds = [[0.5], [0.5]], [0.010, 0.0115, 0.013]
    gain = 1.5 / 1.3

    def chosen(least: float) -> int:
        return sum(choose(chances, requests=2, seconds=seconds, least_gain=least))

    assert (chosen(gain - 0.01), chosen(gain + 0.01)) == (2, 0)


def test_chances_that_seldom_come_true_count_for_less() -> None:
    chances, seconds = [[0.9], [0.4]], [0.010, 0.0125, 0.0130]
    assert choose(chances, requests=2, seconds=seconds) == [1, 1]
    assert choose(chances, requests=2, seconds=seconds, worth=0.2) == [0, 0]


def test_the_likelier_draft_comes_first_whosever_it_is() -> None:
    chances = [[0.9, 0.8, 0.1], [0.5, 0.2]]
    assert choose(chances, requests=2, seconds=[0.01] * 4) == [2, 1]


def test_without_any_knowledge_of_times_all_are_verified() -> None:
    assert choose([[0.9, 0.8], [0.1]], requests=2, seconds=[0.0] * 4) == [2, 1]
