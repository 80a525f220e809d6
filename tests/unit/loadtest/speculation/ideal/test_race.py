"""The ideal race: no loss, no surprise, and what can be worked out on paper."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.speculation.ideal.agreement import Agreement, draw
from loadtest.speculation.ideal.race import RaceTimes, answer_speedup, ideal_speedup, token_times

shares = st.floats(0, 1)
answers = st.lists(st.sampled_from(Agreement), min_size=2, max_size=80)
some_times = st.builds(
    RaceTimes,
    step_s=st.floats(0.001, 0.1),
    draft_s=st.floats(0, 0.1),
    round_trip_s=st.floats(0, 0.5),
    per_step=st.integers(1, 32),
    first_s=st.none() | st.floats(0.001, 0.5),
)


@given(answers, some_times, st.floats(1, 3))
def test_it_never_loses_to_the_verifier_alone(
    agreements: list[Agreement], times: RaceTimes, dearer: float
) -> None:
    assert answer_speedup(agreements, times) >= 1.0
    ready = replace(times, drafted_step_s=dearer * times.step_s)
    assert 1.0 <= answer_speedup(agreements, ready) <= answer_speedup(agreements, times) + 1e-9


@given(answers, some_times)
def test_every_token_comes_in_its_turn_at_the_end_of_a_step(
    agreements: list[Agreement], times: RaceTimes
) -> None:
    verified = token_times(agreements, times)
    assert len(verified) == len(agreements)
    assert verified == sorted(verified) and verified[0] == times.reading_s
    assert max(map(verified.count, verified)) <= times.per_step + 1
    steps = [(time - verified[0]) / times.step_s for time in verified]
    assert all(math.isclose(step, round(step), abs_tol=1e-6) for step in steps)


@given(st.integers(0, 10_000), shares, shares, shares, some_times)
def test_a_better_drafter_is_never_slower(
    seed: int, one: float, other: float, second: float, times: RaceTimes
) -> None:
    """Answer by answer: what is random is the same for both."""
    worse, better = (
        answer_speedup(draw(acceptance, second, 60, Random(seed)), times)
        for acceptance in sorted((one, other))
    )
    assert worse <= better


@given(answers, some_times, shares)
def test_a_longer_link_a_slower_device_or_a_smaller_step_is_never_faster(
    agreements: list[Agreement], times: RaceTimes, share: float
) -> None:
    best = answer_speedup(agreements, times)
    for nearer in (
        replace(times, round_trip_s=share * times.round_trip_s),
        replace(times, draft_s=share * times.draft_s),
        replace(times, per_step=times.per_step + 1),
    ):
        assert answer_speedup(agreements, nearer) >= best - 1e-9


@given(some_times, st.integers(2, 80))
def test_a_drafter_that_is_never_right_changes_nothing(times: RaceTimes, tokens: int) -> None:
    assert answer_speedup([Agreement.NONE] * tokens, times) == pytest.approx(1.0)


@given(some_times, st.integers(2, 80))
def test_a_second_guess_alone_confirms_nothing(times: RaceTimes, tokens: int) -> None:
    """It spares the device the wait for the correction, and there is nothing to go on with."""
    assert answer_speedup([Agreement.SECOND] * tokens, times) == pytest.approx(1.0)


@given(some_times, st.integers(2, 80))
def test_a_drafter_that_is_always_right_and_quick_fills_every_step(
    times: RaceTimes, tokens: int
) -> None:
    """Whatever the link: drafts begin with the request, and nothing has to be said in return."""
    times = replace(times, draft_s=0.0)
    verified = token_times([Agreement.FIRST] * tokens, times)
    steps = math.ceil((tokens - 1) / (times.per_step + 1))
    assert verified[-1] - verified[0] == pytest.approx(steps * times.step_s)


@given(some_times, st.integers(2, 40))
def test_a_drafter_that_is_always_right_and_slow_is_waited_for_by_nobody(
    times: RaceTimes, tokens: int
) -> None:
    """Tokens come at the pace of the faster of the two, once the verifier has its first one."""
    times = replace(times, per_step=64)
    verified = token_times([Agreement.FIRST] * tokens, times)
    alone = times.reading_s + times.step_s * (tokens - 1)
    drafted = times.draft_s * (tokens - 1)
    assert verified[-1] <= min(alone, max(drafted, times.reading_s) + 2 * times.step_s) + 1e-9


@settings(max_examples=20, deadline=None)
@given(st.floats(0.05, 0.95), st.integers(1, 20), st.integers(0, 1000))
def test_without_a_link_a_step_gives_what_independent_acceptance_predicts(
    acceptance: float, per_step: int, seed: int
) -> None:
    """Leviathan et al. 2023, equation 1: (1 - a^(k+1)) / (1 - a) tokens a step."""
    times = RaceTimes(step_s=1.0, draft_s=0.0, round_trip_s=0.0, per_step=per_step)
    agreements = draw(acceptance, 0.0, 20_000, Random(seed))
    expected = (1 - acceptance ** (per_step + 1)) / (1 - acceptance)
    assert answer_speedup(agreements, times) == pytest.approx(expected, rel=0.05)


def test_a_correction_costs_a_round_trip_and_what_is_foreseen_does_not() -> None:
    """Steps of 10 ms, some 1 ms a draft, 40 ms there and back; the one at place 3 is the matter."""
    times = RaceTimes(step_s=0.010, draft_s=0.00095, round_trip_s=0.040)

    def ends(third: Agreement) -> list[int]:
        agreements = [Agreement.FIRST] * 20
        agreements[3] = third
        return [round(1e3 * time) for time in token_times(agreements, times)]

    assert ends(Agreement.FIRST) == [10] + [20] * 10 + [30] * 9
    # The token after it was drafted beside it, and with it all that follow.
    assert ends(Agreement.SECOND) == [10] + [20] * 3 + [30] * 16
    # Told at 40, drafted anew from there, with the verifier at 61: until then that is alone.
    assert ends(Agreement.NONE) == [10] + [20] * 3 + [30, 40, 50, 60, 70] + [80] * 6 + [90] * 5


def test_the_expectation_is_over_answers_of_the_lengths_that_are_given() -> None:
    times = RaceTimes(step_s=0.008, draft_s=0.0003, round_trip_s=0.05)
    usual = [answer_speedup(draw(0.8, 0.5, 30, Random(seed)), times) for seed in range(1000)]
    expected = ideal_speedup(times, acceptance=0.8, second=0.5, lengths=[30])
    assert expected == pytest.approx(statistics.median(usual), rel=0.1)
    assert ideal_speedup(times, acceptance=1.0, second=0.0, lengths=[18]) == pytest.approx(17.0)
    with pytest.raises(ValueError, match="1 tokens"):
        ideal_speedup(times, acceptance=1.0, second=0.0, lengths=[1])
