"""The race of drafts and steps in virtual time: exact always, never slower, near the ideal race."""

from __future__ import annotations

import statistics
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.speculation.ideal.agreement import Agreement
from loadtest.speculation.ideal.race import answer_speedup
from services.device_agent.answers.verifier_profile import VerifierProfile
from tests.unit.services.device_agent.simulated_race import Outcome, Setting, race

anything = st.builds(
    Setting,
    acceptance=st.floats(0, 1),
    second=st.floats(0, 1),
    round_trip=st.floats(0, 400),
    step=st.floats(0.5, 50),
    draft=st.floats(0.05, 20),
    window=st.none() | st.integers(0, 64),
    per_step=st.integers(1, 32),
    seed=st.integers(0, 10_000),
    tokens=st.integers(2, 40),
)


@settings(max_examples=60, deadline=None)
@given(anything)
def test_whatever_link_and_drafter_the_text_is_exact_and_no_step_is_added(setting: Setting) -> None:
    outcome = race(setting)
    assert outcome.generated == outcome.verified == setting.truth
    assert outcome.steps <= setting.tokens
    # What a step costs does not depend on drafts here: nothing ever waits for them.
    plain = race(replace(setting, window=0))
    assert plain.steps == setting.tokens and plain.sent == 0
    assert outcome.times[-1] <= plain.times[-1] + 1e-6


@settings(max_examples=20, deadline=None)
@given(anything)
def test_wrong_drafts_save_nothing_and_cost_no_step(setting: Setting) -> None:
    assert race(replace(setting, acceptance=0.0, second=0.0)).steps == setting.tokens


@settings(max_examples=12, deadline=None)
@given(st.floats(0, 100), st.integers(0, 10_000))
def test_right_drafts_that_are_in_time_are_all_used(round_trip: float, seed: int) -> None:
    """After the first step, which runs before the first drafts can be there."""
    setting = Setting(
        acceptance=1.0, round_trip=round_trip, draft=0.1, seed=seed, tokens=200, window=48
    )
    window = 48 / max(1.0, round_trip / setting.step + 1)
    assert race(setting).steps <= 2 + setting.tokens / min(setting.per_step, window) + 4


def outcomes(setting: Setting, count: int) -> list[tuple[Setting, Outcome]]:
    """Answers of a device that has learned link, verifier and itself from some others."""
    profile = VerifierProfile()
    settings = [replace(setting, seed=seed) for seed in range(count + 10)]
    return [(each, race(each, profile)) for each in settings][10:]


def share_of_ideal(setting: Setting, count: int = 60) -> float:
    """The speed-up of an output token, divided by that of the ideal race without second guesses,
    over the same answers."""
    took = ideal = 0.0
    for each, outcome in outcomes(setting, count):
        took += outcome.tpot_s
        first = [one if one is Agreement.FIRST else Agreement.NONE for one in each.agreements]
        ideal += each.times.step_s / answer_speedup(first, each.times)
    return ideal / took


SHIPPED = Setting(acceptance=0.8, second=0.49, step=7.5, draft=0.3, tokens=30)
"""As the shipped family's cloud size and its device at this acceptance."""


@pytest.mark.parametrize("round_trip", [5, 20, 50, 100])
@pytest.mark.parametrize("step", [6.5, 7.5])
def test_a_quick_drafter_comes_near_the_ideal_race(step: float, round_trip: float) -> None:
    assert share_of_ideal(replace(SHIPPED, step=step, round_trip=round_trip)) >= 0.95


@pytest.mark.parametrize("round_trip", [5, 20, 50, 100])
@pytest.mark.parametrize("step", [12, 25, 40])
def test_a_slow_drafter_comes_near_the_ideal_race_of_longer_steps(
    step: float, round_trip: float
) -> None:
    assert share_of_ideal(replace(SHIPPED, step=step, draft=8.0, round_trip=round_trip)) >= 0.93


@pytest.mark.parametrize("round_trip", [5, 20])
def test_frames_are_fewer_than_tokens(round_trip: float) -> None:
    """Each costs everybody on its way."""
    for _, outcome in outcomes(replace(SHIPPED, round_trip=round_trip), 12):
        assert 2 * outcome.frames <= outcome.sent


def speedup(setting: Setting, answers: int = 12) -> float:
    """Mean over answers."""
    ratios = [each.tokens / outcome.steps for each, outcome in outcomes(setting, answers)]
    return statistics.mean(ratios)


@pytest.mark.parametrize(
    ("round_trip", "least"), [(0, 5.0), (5, 4.5), (20, 3.3), (50, 2.2), (100, 1.5)]
)
def test_good_drafts_save_most_steps_over_usual_links(round_trip: float, least: float) -> None:
    assert speedup(Setting(acceptance=0.98, round_trip=round_trip, tokens=100)) >= least


@pytest.mark.parametrize("round_trip", [20, 50])
def test_second_guesses_help_where_first_ones_are_often_wrong(round_trip: float) -> None:
    with_them = Setting(acceptance=0.8, second=0.65, round_trip=round_trip)
    assert speedup(with_them, 40) > speedup(replace(with_them, second=0.0), 40)


def test_a_longer_round_trip_never_helps() -> None:
    ratios = [speedup(Setting(round_trip=each)) for each in (0.0, 20.0, 100.0, 400.0)]
    assert ratios == sorted(ratios, reverse=True)
