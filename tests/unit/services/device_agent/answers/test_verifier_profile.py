from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from services.device_agent.answers.verifier_profile import TRIAL_EVERY, VerifierProfile
from tests.unit.services.device_agent.drafting.test_speedup import USUAL


@given(st.lists(st.floats(0.001, 0.05), min_size=1, max_size=9))
def test_the_step_is_at_first_the_mean_of_the_gaps(gaps: list[float]) -> None:
    profile = VerifierProfile()
    for gap in gaps:
        profile.learn_step(gap)
    assert abs(profile.step_s - sum(gaps) / len(gaps)) < 1e-9


@given(st.lists(st.integers(1, 8), min_size=1, max_size=30))
def test_steps_that_are_heard_of_together_share_their_time(heard: list[int]) -> None:
    profile = VerifierProfile()
    for steps in heard:
        profile.learn_step(steps * 0.006, steps)
    assert abs(profile.step_s - 0.006) < 1e-9


def test_a_stall_is_no_step() -> None:
    profile = VerifierProfile()
    for _ in range(50):
        profile.learn_step(0.006)
    profile.learn_step(30.0)
    assert profile.step_s < 0.008


def test_an_engine_that_becomes_slower_is_noticed() -> None:
    profile = VerifierProfile()
    for _ in range(50):
        profile.learn_step(0.006)
    for _ in range(100):
        profile.learn_step(0.03)
    assert 0.028 < profile.step_s <= 0.031


def test_some_answers_are_trials() -> None:
    profile = VerifierProfile()
    trials = [profile.next_is_trial() for _ in range(5 * TRIAL_EVERY)]
    assert sum(trials) == 5
    assert not trials[0]


def test_the_decision_has_a_memory() -> None:
    profile = VerifierProfile()
    between = next(
        pace
        for pace in (replace(USUAL, acceptance=a / 1000) for a in range(999, 0, -1))
        if not VerifierProfile.decide(stubborn(False), pace)
    )
    assert profile.decide(replace(USUAL, acceptance=0.99))
    assert profile.decide(between), "it goes on with what it would not begin"
    assert not profile.decide(replace(USUAL, acceptance=0.0))
    assert not profile.decide(between)


def stubborn(drafting: bool) -> VerifierProfile:
    profile = VerifierProfile()
    profile.drafting = drafting
    return profile


def test_a_pace_is_what_was_learned() -> None:
    profile = VerifierProfile()
    for _ in range(100):
        profile.acceptance.learn(0.9, True)
    profile.learn_step(0.01)
    pace = profile.speedup_inputs(draft_s=0.001, link_s=0.05, per_step=16)
    assert pace.acceptance > 0.9
    assert (pace.step_s, pace.draft_s, pace.round_trip_s, pace.per_step) == (0.01, 0.001, 0.05, 16)


def test_drafts_have_to_cross_what_lies_behind_the_gateway_too() -> None:
    profile = VerifierProfile()
    profile.behind_gateway_s = 0.05
    inputs = profile.speedup_inputs(draft_s=0.001, link_s=0.005, per_step=8)
    assert inputs.round_trip_s == 0.055
