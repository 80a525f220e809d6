"""The race of drafts and steps in virtual time: exact always, never slower, mostly faster."""

from __future__ import annotations

import statistics
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.device_agent.drafting.acceptance import Acceptance
from tests.unit.services.device_agent.simulated_race import Race, Setting, truth

anything = st.builds(
    Setting,
    acceptance=st.floats(0, 1),
    second=st.floats(0, 1),
    one_way=st.floats(0, 200),
    step=st.floats(0.5, 50),
    draft=st.floats(0.01, 20),
    window=st.integers(0, 64),
    per_step=st.integers(1, 32),
    seed=st.integers(0, 10_000),
    trunk_only=st.booleans(),
)


@settings(max_examples=60)
@given(anything)
def test_whatever_link_and_drafter_the_text_is_exact_and_no_step_is_added(setting: Setting) -> None:
    outcome = Race(setting).run()
    assert outcome.generated == outcome.verified == truth(setting)
    assert outcome.steps <= setting.tokens
    # What a step costs does not depend on drafts rig: nothing ever waits for them.
    plain = Race(replace(setting, window=0)).run()
    assert plain.steps == setting.tokens and plain.sent == 0
    assert outcome.finished <= plain.finished + 1e-6


@settings(max_examples=20)
@given(anything)
def test_wrong_drafts_save_nothing_and_cost_no_step(setting: Setting) -> None:
    assert Race(replace(setting, acceptance=0.0, second=0.0)).run().steps == setting.tokens


@settings(max_examples=12)
@given(st.floats(0, 50), st.integers(0, 10_000))
def test_right_drafts_that_are_in_time_are_all_used(one_way: float, seed: int) -> None:
    """After the first steps, which run before the first drafts can be there."""
    setting = Setting(acceptance=1.0, one_way=one_way, draft=0.1, seed=seed, tokens=200)
    outcome = Race(setting).run()
    blind = 2 * one_way / setting.step + 2
    window = setting.window / max(1.0, 2 * one_way / setting.step + 1)
    assert outcome.steps <= blind + setting.tokens / min(setting.per_step, window) + 4


def speedup(setting: Setting, answers: int = 12) -> float:
    """Median over answers, after some to learn from. Steps saved, not time."""
    acceptance, ratios = Acceptance(), []
    for seed in range(answers):
        steps = Race(replace(setting, seed=seed), acceptance).run().steps
        if seed >= 4:
            ratios.append(setting.tokens / steps)
    return statistics.median(ratios)


@pytest.mark.parametrize(
    ("round_trip", "least"), [(0, 5.0), (5, 4.5), (20, 3.3), (50, 2.2), (100, 1.5)]
)
def test_good_drafts_save_most_steps_over_usual_links(round_trip: float, least: float) -> None:
    assert speedup(Setting(acceptance=0.98, one_way=round_trip / 2, tokens=100)) >= least


@pytest.mark.parametrize("round_trip", [5, 20])
def test_second_guesses_help_where_first_ones_are_often_wrong(round_trip: float) -> None:
    setting = Setting(acceptance=0.8, second=0.65, one_way=round_trip / 2)
    assert speedup(setting) > speedup(replace(setting, trunk_only=True))


def test_a_longer_round_trip_never_helps() -> None:
    ratios = [speedup(Setting(one_way=one_way)) for one_way in (0.0, 10.0, 50.0, 200.0)]
    assert ratios == sorted(ratios, reverse=True)
