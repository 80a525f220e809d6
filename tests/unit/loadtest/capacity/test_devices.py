"""Emulated devices: what they have drafted by a time, and when it arrives."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from loadtest.capacity.devices import EmulatedDevice, worthwhile
from loadtest.capacity.plan import DevicePace

TRUTH = list(range(100, 160))
PACE = DevicePace(draft_s=0.004, round_trip_s=0.02, window=24, run=4)


def device(acceptance: float, seed: int = 1) -> EmulatedDevice:
    return EmulatedDevice(
        truth=TRUTH, acceptance=acceptance, pace=PACE, random=Random(seed), vocabulary=1000, now=0.0
    )


def test_a_perfect_device_drafts_the_answer_as_far_as_its_window() -> None:
    runs = device(1.0).drafted(10.0)
    drafted = [token for _, _, tokens, _ in runs for token in tokens]
    assert drafted == TRUTH[: PACE.window]
    assert len(runs[0][2]) == 1


def test_a_device_that_is_seldom_right_drafts_less_far() -> None:
    windows = [worthwhile(share, 32) for share in (0.0, 0.3, 0.8, 0.95, 1.0)]
    assert windows == [1, 1, 10, 32, 32]


def test_it_takes_its_time_and_so_does_its_link() -> None:
    one = device(1.0)
    assert one.drafted(0.003) == []
    [(arrives, position, tokens, before)] = one.drafted(0.0041)
    assert (position, tokens, before) == (0, TRUTH[:1], [])
    assert abs(arrives - 0.014) < 1e-9


def test_it_goes_on_as_tokens_are_verified() -> None:
    one = device(1.0)
    one.drafted(1.0)
    one.hear(1.0, 10)
    assert one.drafted(1.009) == []
    [*_, (_, position, tokens, before)] = one.drafted(2.0)
    assert position + len(tokens) == 10 + PACE.window
    assert before == TRUTH[position - 4 : position]


def test_after_a_wrong_token_all_are_wrong_until_it_hears() -> None:
    one = device(0.0)
    for _, position, tokens, _ in one.drafted(1.0):
        truth = TRUTH[position : position + len(tokens)]
        assert all(a != b for a, b in zip(tokens, truth, strict=True))
    one.hear(1.0, 1)
    (_, position, _, before), *_ = one.drafted(2.0)
    assert (position, before) == (1, TRUTH[:1])


@given(st.floats(0, 1), st.integers(0, 99), st.lists(st.integers(1, 6), max_size=20))
def test_runs_stand_on_what_it_said_and_stay_in_its_window(
    acceptance: float, seed: int, steps: list[int]
) -> None:
    one, now, verified = device(acceptance, seed), 0.0, 0
    for step in [0, *steps]:
        now += 0.025
        verified = min(verified + step, len(TRUTH))
        one.hear(now, verified)
        for _, position, tokens, before in one.drafted(now):
            assert tokens
            assert position + len(tokens) <= min(len(TRUTH), verified + PACE.window)
            assert len(before) == min(4, position)
