"""The batch-time curve that is learned from steps."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.vllm_server.race.goodput.step_times import StepTimes


def linear(requests: int, drafts: int) -> float:
    return 0.005 + 0.0004 * requests + 0.0002 * drafts + 0.0003 * (drafts > 0)


def roofline(requests: int, drafts: int) -> float:
    """Flat until the machine is busy."""
    return 0.02 * max(1.0, (requests + drafts) / 64)


def learned(truth: Callable[[int, int], float], steps: int = 2000, noise: float = 0.1) -> StepTimes:
    times, random = StepTimes(), Random(3)
    for _ in range(steps):
        requests = random.choice([1, 2, 4, 8, 16, 32])
        drafts = random.randint(0, 6) * requests
        times.observe(requests, drafts, truth(requests, drafts) * random.uniform(1, 1 + noise))
    return times


@pytest.mark.parametrize("truth", [linear, roofline])
@pytest.mark.parametrize("requests", [1, 8, 32])
def test_it_is_learned_within_a_quarter(truth: Callable[[int, int], float], requests: int) -> None:
    curve = learned(truth).curve(requests, 6 * requests)
    for drafts in (0, 2 * requests, 6 * requests):
        assert curve[drafts] == pytest.approx(1.05 * truth(requests, drafts), rel=0.25)


def test_a_step_that_was_held_up_is_not_taken_for_its_time() -> None:
    times = learned(linear, noise=0.0)
    times.observe(8, 8, 100.0)
    assert times.expected(8, 8) < 2 * linear(8, 8)


def test_as_long_as_all_steps_are_alike_drafts_cost_nothing() -> None:
    times = StepTimes()
    for _ in range(100):
        times.observe(1, 16, 0.006)
    curve = times.curve(1, 16)
    assert curve[0] == pytest.approx(curve[16], rel=0.01)


def test_nothing_is_known_at_first() -> None:
    assert list(StepTimes().curve(4, 3)) == [0.0] * 4


SAMPLES = st.lists(
    st.tuples(st.integers(1, 64), st.integers(0, 512), st.floats(1e-4, 2.0)), max_size=80
)


@given(SAMPLES, st.integers(1, 64), st.integers(0, 128))
def test_whatever_is_seen_a_longer_step_takes_no_less(
    samples: list[tuple[int, int, float]], requests: int, most: int
) -> None:
    times = StepTimes()
    for sample in samples:
        times.observe(*sample)
    curve = times.curve(requests, most)
    assert len(curve) == most + 1
    assert all(0 <= before <= after for before, after in zip(curve, curve[1:], strict=False))
