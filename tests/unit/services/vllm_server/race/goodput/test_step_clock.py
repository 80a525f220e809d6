"""Which times from step to step count as a step's own."""

from __future__ import annotations

from services.vllm_server.race.goodput.step_clock import StepClock, TimedStep


def test_a_step_lasts_until_the_next_one_begins() -> None:
    clock = StepClock()
    assert clock.begin(1000) is None
    clock.fill(requests=2, drafts=3, tokens=5)
    clock.end(True)
    assert clock.begin(7000) == TimedStep(2, 3, 6000)


def test_a_pause_is_no_step() -> None:
    clock = StepClock()
    clock.begin(1000)
    clock.fill(requests=1, drafts=0, tokens=1)
    clock.end(False)
    assert clock.begin(900_000) is None


def test_a_step_with_a_prompt_is_not_timed() -> None:
    clock = StepClock()
    clock.begin(1000)
    clock.fill(requests=2, drafts=3, tokens=80)
    clock.end(True)
    assert clock.begin(7000) is None


def test_nor_is_one_that_was_not_told_of() -> None:
    clock = StepClock()
    clock.begin(1000)
    clock.fill(requests=1, drafts=0, tokens=1)
    clock.end(True)
    clock.begin(2000)
    clock.end(True)
    assert clock.begin(3000) is None


def test_nor_are_steps_under_way_at_once() -> None:
    clock = StepClock()
    clock.begin(1000)
    clock.fill(requests=1, drafts=0, tokens=1)
    assert clock.begin(2000) is None
