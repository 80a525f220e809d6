"""A tier in the middle is used where it makes answers faster, and tried again where it did not."""

from __future__ import annotations

import random
from collections import Counter
from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.speculation.tier_gain import MARGIN, RAREST, TierGain, TierGains

TOKENS = 60
NOISE = 0.02
FIRST_S = 0.05


def answers(
    rule: TierGain,
    speeds: dict[frozenset[str], float],
    count: int,
    seed: int = 0,
    noise: float = NOISE,
) -> Counter[frozenset[str]]:
    """So many answers of different lengths, each as fast as the tiers that it had allow, but for
    `noise`; how often each way was taken."""
    chance, taken = random.Random(seed), Counter[frozenset[str]]()
    for _ in range(count):
        used = rule.choose()
        taken[used] += 1
        tokens = chance.randint(0, 2 * TOKENS)
        seconds = tokens / speeds[used] * exp(chance.uniform(-noise, noise))
        rule.observe(used, tokens, 0.0, seconds)
    return taken


def edge(gain: float) -> dict[frozenset[str], float]:
    return {frozenset(): 100.0, frozenset({"edge"}): 100.0 * gain}


@given(st.floats(0.2, 5.0), st.integers(0, 2**16))
def test_the_faster_way_is_taken_and_the_other_seldom(gain: float, seed: int) -> None:
    rule = TierGain(tiers=("edge",))
    answers(rule, edge(gain), 60, seed)
    taken = answers(rule, edge(gain), 600, seed)
    if gain > MARGIN * (1 + 2 * NOISE):
        assert rule.used == {"edge"}
    elif gain < 1 - 4 * NOISE:
        assert rule.used == frozenset()
    lost = sum(
        count * max(0.0, max(gain, 1.0) / (gain if used else 1.0) - 1.0)
        for used, count in taken.items()
    )
    assert lost / 600 < 0.05, "what the tries cost, as a share of the time"
    if abs(gain - 1.0) > 0.1:
        assert taken[frozenset({"edge"}) - rule.used] + taken[rule.used ^ {"edge"}] > 0


@pytest.mark.parametrize(("before", "after"), [(1.8, 0.7), (0.7, 1.8), (3.0, 0.5), (0.5, 3.0)])
def test_a_change_of_conditions_is_noticed(before: float, after: float) -> None:
    rule = TierGain(tiers=("edge",))
    answers(rule, edge(before), 200)
    assert ("edge" in rule.used) == (before > 1)
    answers(rule, edge(after), 4 * RAREST)
    assert ("edge" in rule.used) == (after > 1)
    assert (("edge", rule.gain("edge")) in list(rule.left_out())) == (after < 1)


def test_without_a_difference_it_does_not_flap() -> None:
    rule, changes = TierGain(tiers=("edge",)), 0
    for seed in range(500):
        before = rule.used
        answers(rule, edge(1.02), 1, seed)
        changes += rule.used != before
    assert changes <= 10


def test_of_several_tiers_each_is_judged_beside_the_others() -> None:
    speeds = {
        frozenset(): 100.0,
        frozenset({"edge"}): 150.0,
        frozenset({"region"}): 90.0,
        frozenset({"edge", "region"}): 140.0,
    }
    rule = TierGain(tiers=("edge", "region"))
    answers(rule, speeds, 300)
    assert rule.used == {"edge"}


def test_a_tier_that_delays_the_first_token_by_more_than_it_saves_is_left_out() -> None:
    rule = TierGain(tiers=("edge",))
    for _ in range(60):
        used = rule.choose()
        first_s, per_token = (0.08, 0.010) if used else (FIRST_S, 0.011)
        rule.observe(used, 20, first_s, 20 * per_token)
    assert rule.used == frozenset()
    assert rule.gain("edge") == pytest.approx((FIRST_S + 0.22) / (0.08 + 0.2))


def test_how_long_answers_are_does_not_count() -> None:
    rule = TierGain(tiers=("edge",))
    for _ in range(60):
        used = rule.choose()
        tokens = 4 if used else 400
        rule.observe(used, tokens, FIRST_S, tokens / (150 if used else 100))
    assert rule.used == {"edge"}


def test_answers_that_took_no_time_say_nothing() -> None:
    rule = TierGain(tiers=("edge",))
    for _ in range(100):
        rule.observe(rule.choose(), 3, 0.0, 0.0)
    assert rule.gain("edge") is None
    assert TierGain(tiers=()).choose() == frozenset()


@pytest.mark.parametrize("gain", [0.6, 0.8, 0.95, 1.1, 1.4])
def test_answers_that_differ_by_half_do_not_make_it_try_more_than_it_can_win(gain: float) -> None:
    lost = []
    for seed in range(20):
        rule = TierGain(tiers=("edge",))
        answers(rule, edge(gain), 40, seed, noise=0.7)
        taken = answers(rule, edge(gain), 400, seed + 1000, noise=0.7)
        slow = taken[frozenset() if gain > 1 else frozenset({"edge"})]
        lost.append(slow / 400 * (max(gain, 1 / gain) - 1))
    assert sum(lost) / len(lost) < 0.03


def test_what_one_device_makes_of_a_tier_does_not_take_it_from_another() -> None:
    gains = TierGains()

    def of(device: str) -> TierGain:
        return gains.of(
            chain="device-edge-cloud", model="rill-cloud", drafter=device, tiers=("edge",)
        )

    answers(of("precise"), edge(0.9), 200)
    answers(of("spoiled"), edge(1.8), 200)
    assert of("precise").used == frozenset()
    assert of("spoiled").used == {"edge"}
    [words] = gains.left_out()
    assert words.startswith("edge for rill-cloud in device-edge-cloud (measured gain 0.")
    answers(of("another"), edge(0.8), 200)
    [words] = gains.left_out()
    assert words.endswith("and more, with 2 devices)")
    assert "precise" not in words
