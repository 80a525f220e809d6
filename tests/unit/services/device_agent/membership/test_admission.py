"""What a device refuses at once, and that it refuses nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol.device_link import work
from gateway.protocol.requests.sampling import Sampling
from services.device_agent.membership.admission import (
    AnswerTimeEstimate,
    DeviceLoad,
    WorkRefused,
    check_deadline,
    check_load,
    check_size,
)

READY = DeviceLoad(
    working=0,
    user_answers=0,
    max_work=2,
    condition=work.Condition(),
    min_battery=0.3,
    privacy="public",
    abilities=("generate", "revise"),
)


def frame(kind: work.Kind = "generate", budget: int = 100, deadline_s: float = 10.0) -> work.Work:
    message = {"role": "user", "content": "?"}
    return work.Work(
        w=1,
        kind=kind,
        messages=[message],
        sampling=Sampling(max_tokens=budget),
        deadline_s=deadline_s,
    )


def refused(**more: Any) -> WorkRefused:
    with pytest.raises(WorkRefused) as caught:
        check_load(frame(), replace(READY, **more))
    return caught.value


def test_an_idle_device_on_mains_takes_work() -> None:
    check_load(frame(), READY)


@pytest.mark.parametrize(
    ("code", "more"),
    [
        ("private", {"privacy": "private"}),
        ("unable", {"abilities": ("revise",)}),
        ("hot", {"condition": work.Condition(hot=True)}),
        ("battery", {"condition": work.Condition(battery=0.29)}),
        ("busy", {"working": 2}),
        ("busy", {"working": 1, "user_answers": 1}),
        ("busy", {"user_answers": 2}),
    ],
)
def test_each_reason_has_its_code(code: str, more: dict[str, Any]) -> None:
    assert refused(**more).code == code


def test_what_another_try_may_mend_says_when() -> None:
    assert refused(working=2).retry_s > 0
    assert refused(condition=work.Condition(hot=True)).retry_s > 0
    assert refused(privacy="private").retry_s == 0


def test_a_full_battery_and_a_user_with_room_beside_him_refuse_nothing() -> None:
    check_load(frame(), replace(READY, condition=work.Condition(battery=0.3), user_answers=1))


def test_a_prompt_must_leave_room_for_an_answer() -> None:
    check_size(2047, 2048)
    with pytest.raises(WorkRefused) as caught:
        check_size(2048, 2048)
    assert caught.value.code == "too_long"


def test_a_deadline_that_the_device_can_not_make_is_refused() -> None:
    estimate = AnswerTimeEstimate(usual_tokens=16, read_s=0.01)

    def check(budget: int, deadline_s: float, others: int) -> None:
        needed_s = estimate.seconds(step_s=0.1, prompt=100, budget=budget, others=others)
        check_deadline(frame(budget=budget, deadline_s=deadline_s), needed_s, others)

    check(100, 2.7, others=0)
    with pytest.raises(WorkRefused) as caught:
        check(100, 2.7, others=1)
    assert caught.value.code == "deadline"
    check(1, 1.2, others=0)


seconds = st.floats(0, 10)


@given(seconds, seconds, st.floats(1, 1000), st.integers(0, 5000), st.integers(1, 5000))
def test_what_shares_the_device_never_makes_it_faster(
    step_s: float, read_s: float, usual: float, prompt: int, budget: int
) -> None:
    estimate = AnswerTimeEstimate(usual_tokens=usual, read_s=read_s)
    needed = [
        estimate.seconds(step_s=step_s, prompt=prompt, budget=budget, others=others)
        for others in range(4)
    ]
    assert needed == sorted(needed)
    assert needed[0] <= read_s * prompt + step_s * budget + 1e-6
