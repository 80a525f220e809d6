from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.endpoints.outlier_ejection import PassiveHealth, Standing
from tests.unit.gateway.build import ejection_rule

RULE = ejection_rule()


def half() -> float:
    return 0.5


def fail(health: PassiveHealth, now: float, trial: bool = False) -> float | None:
    return health.fail(trial, RULE, "engine_error", now, half)


def ejected(now: float = 0.0) -> PassiveHealth:
    health = PassiveHealth()
    for _ in range(RULE.consecutive_failures):
        fail(health, now)
    assert health.ejected
    return health


def test_failures_in_a_row_eject() -> None:
    health = PassiveHealth()
    assert [fail(health, 0.0) for _ in range(3)] == [None, None, pytest.approx(1.5)]
    assert health.standing(1.0) is Standing.EJECTED
    assert (
        health.problem(1.0) == "ejected: its requests failed (engine_error); tried again in 0.5 s"
    )


def test_a_success_between_failures_begins_the_row_anew() -> None:
    health = PassiveHealth()
    for _ in range(3):
        for _ in range(2):
            assert fail(health, 0.0) is None
        for _ in range(9):
            health.succeed(False, RULE, 0.0)
    assert health.standing(0.0) is Standing.GOOD


def test_a_share_of_failures_ejects_without_a_row_of_them() -> None:
    health, pauses = PassiveHealth(), []
    for number in range(20):
        if number % 2:
            pauses.append(fail(health, number * 0.01))
        else:
            health.succeed(False, RULE, number * 0.01)
    assert any(pauses)


def test_old_failures_are_forgotten() -> None:
    health = PassiveHealth()
    for number in range(60):
        now = number * 100.0
        assert fail(health, now) is None
        health.succeed(False, RULE, now)
    assert not health.ejected


def test_after_the_pause_one_request_at_a_time_tries_it() -> None:
    health = ejected()
    assert not health.admits(1.4)
    assert health.admits(1.6)
    trial = health.begin()
    assert trial and not health.admits(1.6)
    assert health.standing(1.6) is Standing.TRIAL
    health.abandon(trial)
    assert health.admits(1.6)


def test_each_failed_trial_doubles_the_pause_up_to_the_longest() -> None:
    health, now, pauses = ejected(), 0.0, []
    for _ in range(8):
        now = health.ejected_until
        pause = fail(health, now, health.begin())
        assert pause is not None
        pauses.append(pause)
    assert pauses == pytest.approx([3.0, 6.0, 12.0, 24.0, 45.0, 45.0, 45.0, 45.0])


def test_what_was_sent_before_the_ejection_neither_ends_nor_lengthens_it() -> None:
    health = ejected()
    until = health.ejected_until
    for _ in range(9):
        assert fail(health, 0.5) is None
        assert not health.succeed(False, RULE, 0.5)
    assert (health.ejected, health.ejected_until) == (True, until)


def test_one_that_has_been_well_for_long_begins_with_the_shortest_pause() -> None:
    health = ejected()
    fail(health, 2.0, health.begin())
    assert health.succeed(health.begin(), RULE, 10.0)
    assert [fail(health, 30.0) for _ in range(3)][-1] == pytest.approx(6.0)
    assert health.succeed(health.begin(), RULE, 40.0)
    assert [fail(health, 101.0) for _ in range(3)][-1] == pytest.approx(1.5)


def test_its_share_grows_after_it_has_returned() -> None:
    health = ejected()
    assert health.succeed(health.begin(), RULE, 2.0)
    shares = [health.share(now) for now in (2.0, 4.5, 7.0, 12.0)]
    assert shares == pytest.approx([0.1, 0.25, 0.5, 1.0])
    assert health.standing(5.0) is Standing.SLOW_START
    assert health.standing(12.5) is Standing.GOOD


def test_an_engine_that_asks_for_it_is_left_alone_for_a_minute_at_most() -> None:
    health = PassiveHealth()
    health.busy(False, 9999.0, 0.0)
    assert health.standing(1.0) is Standing.BUSY
    assert not health.admits(59.0) and health.admits(60.0)
    assert health.problem(30.0) == "asks to be left alone for another 30.0 s"


def test_one_that_was_down_and_is_up_again_is_in_use_and_its_next_pause_longer() -> None:
    health = ejected()
    trial = health.begin()
    health.restarted()
    assert health.standing(0.1) is Standing.GOOD and health.sound(0.1)
    health.abandon(trial)
    assert [fail(health, 1.0) for _ in range(3)][-1] == pytest.approx(3.0)


def test_a_failure_counts_as_requests_that_wait_at_once_and_fades() -> None:
    health = PassiveHealth()
    assert health.depth(0.0) == 0.0
    health.doubt(0.0)
    assert health.depth(0.0) == 4.0
    health.doubt(0.0)
    assert health.depth(0.0) == 8.0
    assert health.depth(60.0) < 0.1
    health.succeed(False, RULE, 0.0)
    assert health.depth(0.0) == 0.0


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["succeed", "fail", "abandon", "doubt", "busy"]),
        st.floats(-5.0, 50.0),
        st.floats(0.0, 1.0),
    ),
    max_size=60,
)


@given(EVENTS)
def test_whatever_happens_an_endpoint_is_admitted_again_and_figures_stay_within_bounds(
    events: Sequence[tuple[str, float, float]],
) -> None:
    """Also with a clock that goes back."""
    health, now = PassiveHealth(), 0.0
    for event, seconds, uniform in events:
        now += seconds
        trial = health.begin()
        if event == "succeed":
            health.succeed(trial, RULE, now)
        elif event == "fail":
            pause = health.fail(trial, RULE, "engine_error", now, partial(float, uniform))
            assert pause is None or 0.0 < pause <= RULE.longest_pause_s
        elif event == "busy":
            health.busy(trial, seconds, now)
        else:
            health.abandon(trial)
            if event == "doubt":
                health.doubt(now)
        assert 0.0 < health.share(now) <= 1.0
        assert 0.0 <= health.depth(now) <= 30.0
        assert bool(health.problem(now)) == (
            health.standing(now) in (Standing.EJECTED, Standing.TRIAL, Standing.BUSY)
        )
    latest = max(now, health.ejected_until) + 61.0
    assert health.admits(latest)


@given(EVENTS)
def test_only_a_failure_ejects_and_only_a_trial_returns(
    events: Sequence[tuple[str, float, float]],
) -> None:
    health, now = PassiveHealth(), 0.0
    for event, seconds, _ in events:
        now += abs(seconds)
        before, trial = health.ejected, health.begin()
        if event == "fail":
            assert (fail(health, now, trial) is not None) >= (health.ejected and not before)
        elif event == "succeed":
            returned = health.succeed(trial, RULE, now)
            assert returned == (before and not health.ejected)
        else:
            health.abandon(trial)
            assert health.ejected == before
