from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.endpoints.usual_waits import MIN_SEEN, SEEN, UsualWaitRule, UsualWaits

RULE = UsualWaitRule(factor=5.0, floor_s=3.0)


def usual(*, chars: int = 100, seconds: float, times: int = MIN_SEEN) -> UsualWaits:
    waits = UsualWaits()
    for _ in range(times):
        waits.first_token_seen(chars, seconds)
        waits.pauses.observe(seconds)
    return waits


def test_until_enough_was_seen_only_the_setting_holds() -> None:
    waits = usual(seconds=0.1, times=MIN_SEEN - 1)
    assert waits.first_token_limit(100, RULE) is None
    assert waits.idle_limit(30.0, RULE) == 30.0


def test_a_limit_is_a_multiple_of_what_is_usual_above_a_floor() -> None:
    assert usual(seconds=0.1).first_token_limit(100, RULE) == 3.0
    assert usual(seconds=2.0).first_token_limit(100, RULE) == 10.0
    assert usual(seconds=2.0).idle_limit(30.0, RULE) == 10.0


def test_the_setting_is_never_exceeded() -> None:
    assert usual(seconds=20.0).idle_limit(30.0, RULE) == 30.0
    assert usual(seconds=0.1).idle_limit(2.0, RULE) == 2.0


def test_longer_prompts_have_limits_of_their_own() -> None:
    waits = usual(seconds=0.1)
    assert waits.first_token_limit(100_000, RULE) is None
    for _ in range(MIN_SEEN):
        waits.first_token_seen(100_000, 4.0)
    assert waits.first_token_limit(100_000, RULE) == 20.0
    assert waits.first_token_limit(100, RULE) == 3.0


def test_answers_in_one_piece_have_limits_of_their_own() -> None:
    waits = usual(seconds=0.1)
    assert waits.answer_limit(100, RULE) is None
    for _ in range(MIN_SEEN):
        waits.answer_seen(100, 4.0)
    assert waits.answer_limit(100, RULE) == 20.0
    assert waits.first_token_limit(100, RULE) == 3.0


def test_old_waits_are_forgotten() -> None:
    waits = usual(seconds=9.0)
    for _ in range(SEEN):
        waits.first_token_seen(100, 0.1)
    assert waits.first_token_limit(100, RULE) == 3.0


def test_a_factor_of_zero_turns_it_off() -> None:
    off = UsualWaitRule(factor=0.0, floor_s=3.0)
    assert usual(seconds=0.1).first_token_limit(100, off) is None
    assert usual(seconds=0.1).idle_limit(30.0, off) == 30.0


@given(st.lists(st.floats(allow_nan=True), max_size=200), st.floats(0.1, 100.0))
def test_an_idle_limit_is_never_above_the_setting_whatever_was_seen(
    seen: list[float], setting: float
) -> None:
    waits = UsualWaits()
    for seconds in seen:
        waits.pauses.observe(seconds)
    assert 0.0 < waits.idle_limit(setting, RULE) <= setting
    assert not math.isnan(waits.idle_limit(setting, RULE))
