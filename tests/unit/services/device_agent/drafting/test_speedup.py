from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.device_agent.drafting.speedup import (
    BEGIN_ABOVE,
    END_BELOW,
    MAX_WINDOW,
    MIN_WINDOW,
    SpeedupInputs,
    expected_speedup,
    pays,
    window,
)

paces = st.builds(
    SpeedupInputs,
    acceptance=st.floats(0, 1),
    second=st.floats(0, 1),
    draft_s=st.floats(1e-5, 0.05),
    step_s=st.floats(1e-4, 0.2),
    round_trip_s=st.floats(0, 1),
    per_step=st.integers(0, 64),
)
USUAL = SpeedupInputs(
    acceptance=0.95, second=0.5, draft_s=0.0005, step_s=0.006, round_trip_s=0.02, per_step=16
)


@given(paces)
def test_the_speed_up_is_a_positive_number_and_never_beyond_what_a_step_takes(
    pace: SpeedupInputs,
) -> None:
    assert 0 < expected_speedup(pace) <= pace.per_step + 1.0001


@given(paces, st.floats(0, 1))
def test_more_round_trip_never_promises_more(pace: SpeedupInputs, more: float) -> None:
    longer = replace(pace, round_trip_s=pace.round_trip_s + more)
    # Drafts that slow the verifier down do so less over a longer link.
    assert expected_speedup(longer) <= max(1.0, expected_speedup(pace)) + 1e-9


@given(st.floats(0.05, 1), st.floats(0, 0.5), st.floats(0, 0.3))
def test_better_drafts_never_promise_less(low: float, more: float, round_trip_s: float) -> None:
    worse = replace(USUAL, acceptance=low, round_trip_s=round_trip_s)
    better = replace(worse, acceptance=min(1.0, low + more))
    # More rows a step are paid for as well, so that an even better drafter may cost a little.
    assert expected_speedup(better) >= 0.97 * expected_speedup(worse)


@pytest.mark.parametrize("round_trip_s", [0.0, 0.005, 0.02, 0.05, 0.1])
def test_drafts_that_are_nearly_always_right_pay_over_any_of_our_links(round_trip_s: float) -> None:
    good = replace(USUAL, acceptance=0.99, round_trip_s=round_trip_s)
    assert expected_speedup(good) > 1.5
    assert pays(good, drafting=False)


@given(paces, st.floats(1, 10), st.booleans())
def test_a_drafter_slower_than_the_verifier_does_not_pay(
    pace: SpeedupInputs, slower: float, drafting: bool
) -> None:
    pace = replace(pace, draft_s=pace.step_s * slower)
    assert expected_speedup(pace) == 1.0
    assert not pays(pace, drafting)


@given(paces)
def test_useless_drafts_and_engines_that_take_none_do_not_pay(pace: SpeedupInputs) -> None:
    assert not pays(replace(pace, acceptance=0.0), drafting=True)
    assert not pays(replace(pace, per_step=0), drafting=True)


@given(paces)
def test_what_is_begun_is_not_given_up_at_once(pace: SpeedupInputs) -> None:
    assert END_BELOW < BEGIN_ABOVE
    if pays(pace, drafting=False):
        assert pays(pace, drafting=True)


@given(paces)
def test_the_window_is_bounded(pace: SpeedupInputs) -> None:
    assert MIN_WINDOW <= window(pace) <= MAX_WINDOW


@given(paces, st.floats(0, 1))
def test_the_window_grows_with_the_round_trip(pace: SpeedupInputs, more: float) -> None:
    longer = replace(pace, round_trip_s=pace.round_trip_s + more)
    assert window(longer) >= window(pace)


@given(paces)
def test_bad_drafts_are_not_stacked_high(pace: SpeedupInputs) -> None:
    assert window(replace(pace, acceptance=0.3, second=0.0)) == MIN_WINDOW


@given(paces, st.floats(0, 1))
def test_good_second_guesses_allow_to_look_further(pace: SpeedupInputs, second: float) -> None:
    assert window(replace(pace, second=second)) >= window(replace(pace, second=0.0))
