"""What a device refuses at once, and that it refuses nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol import work
from gateway.protocol.fields import Sampling
from services.device_agent.membership.admission import (
    Pace,
    Standing,
    WorkRefused,
    admit,
    check_pace,
    check_size,
)

READY = Standing(0, 0, 2, work.Condition(), 0.3, "public", ("generate", "revise"))


def frame(kind: work.Kind = "generate", budget: int = 100, deadline_s: float = 10.0) -> work.Work:
    message = {"role": "user", "content": "?"}
    return work.Work(1, kind, [message], Sampling(max_tokens=budget), deadline_s)


def refused(**more: Any) -> WorkRefused:
    with pytest.raises(WorkRefused) as caught:
        admit(frame(), replace(READY, **more))
    return caught.value


def test_an_idle_device_on_mains_takes_work() -> None:
    admit(frame(), READY)


@pytest.mark.parametrize(
    ("code", "more"),
    [
        ("private", {"privacy": "private"}),
        ("unable", {"abilities": ("revise",)}),
        ("hot", {"condition": work.Condition(hot=True)}),
        ("battery", {"condition": work.Condition(battery=0.29)}),
        ("busy", {"working": 2}),
        ("busy", {"working": 1, "own": 1}),
        ("busy", {"own": 2}),
    ],
)
def test_each_reason_has_its_code(code: str, more: dict[str, Any]) -> None:
    assert refused(**more).code == code


def test_what_another_try_may_mend_says_when() -> None:
    assert refused(working=2).retry_s > 0
    assert refused(condition=work.Condition(hot=True)).retry_s > 0
    assert refused(privacy="private").retry_s == 0


def test_a_full_battery_and_a_user_with_room_beside_him_refuse_nothing() -> None:
    admit(frame(), replace(READY, condition=work.Condition(battery=0.3), own=1))


def test_a_prompt_must_leave_room_for_an_answer() -> None:
    check_size(2047, 2048)
    with pytest.raises(WorkRefused) as caught:
        check_size(2048, 2048)
    assert caught.value.code == "too_long"


def test_a_deadline_that_the_pace_can_not_make_is_refused() -> None:
    pace = Pace(step_s=0.1, read_s=0.01, usual=16)
    check_pace(frame(deadline_s=2.7), 100, pace, others=0)
    with pytest.raises(WorkRefused) as caught:
        check_pace(frame(deadline_s=2.7), 100, pace, others=1)
    assert caught.value.code == "deadline"
    check_pace(frame(budget=1, deadline_s=1.2), 100, pace, others=0)


seconds = st.floats(0, 10)


@given(seconds, seconds, st.floats(1, 1000), st.integers(0, 5000), st.integers(1, 5000))
def test_what_shares_the_device_never_makes_it_faster(
    step_s: float, read_s: float, usual: float, prompt: int, budget: int
) -> None:
    pace = Pace(step_s, read_s, usual)
    needed = [pace.needed_s(prompt, budget, others) for others in range(4)]
    assert needed == sorted(needed)
    assert pace.needed_s(prompt, budget, 0) <= read_s * prompt + step_s * budget + 1e-6
