"""The stages: limits, deadlines and what an answer is judged by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from gateway.adapters.clock import MonotonicClock
from gateway.core.speculation.job import Batch
from gateway.core.tier import Tier as Place
from tests.unit.gateway.build import request
from tests.unit.gateway.fakes import (
    FakeAnswer,
    ListSink,
)
from tests.unit.gateway.serving.cascade.rig import TOP, CascadeRig, about, chat, verified

pytestmark = pytest.mark.anyio


def event(text: str, reason: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason}
    return b"data: " + orjson.dumps({"choices": [choice], **more}) + b"\n\n"


async def test_an_answer_cut_at_the_stages_limit_goes_up_and_one_cut_at_the_callers_does_not() -> (
    None
):
    rig = CascadeRig({"edge:1": chat("No", reason="length")}, TOP)
    assert about(await rig.ask())["reason"] == "length-cut"
    assert about(await rig.ask(max_tokens=3))["reason"] is None


async def test_a_caller_may_keep_the_cascade_below_a_tier() -> None:
    rig = CascadeRig({"edge:1": chat("No", -2.0)}, TOP)
    body = await rig.ask({"max_tier": Place.EDGE})
    assert body["choices"][0]["message"]["content"] == "No"
    assert about(body)["degraded"] == "demand_not_met" and not rig.verifier.jobs


async def test_a_tier_that_takes_half_of_the_time_is_left_for_the_next() -> None:
    clock = MonotonicClock()
    rig = CascadeRig(
        {
            "edge:1": lambda: FakeAnswer([None], 200, "application/json"),
            "cloud:1": lambda: FakeAnswer(
                [
                    b'data: {"choices":[{"index":0,"delta":{"content":"Yes"},'
                    b'"finish_reason":"stop"}]}\n\n',
                    b"data: [DONE]\n\n",
                ]
            ),
        },
        {},
        clock=clock,
    )
    body = await rig.ask({"deadline_s": 0.4, "received": clock.now()})
    assert about(body)["reason"] == "deadline"
    assert body["choices"][0]["message"]["content"] == "Yes"
    rig.assert_nothing_left_open()


async def test_a_top_that_is_silent_beyond_the_deadline_leaves_the_lower_answer() -> None:
    clock = MonotonicClock()
    rig = CascadeRig({"edge:1": chat("No", -2.0)}, verified(None), clock=clock)
    body = await rig.ask({"deadline_s": 0.4, "received": clock.now()})
    assert body["choices"][0]["message"]["content"] == "No"
    assert about(body)["degraded"] == "deadline_exceeded"
    rig.assert_nothing_left_open()


async def test_an_engine_without_log_probabilities_is_never_trusted() -> None:
    rig = CascadeRig(
        {"edge:1": chat("No", tokens=0)}, verified(Batch(ids=[8], reason="stop", text="Yes"))
    )
    rig.server._scripts = {
        **rig.server._scripts,
        "cloud:1": lambda: FakeAnswer(
            [
                b'data: {"choices":[{"index":0,"delta":{"content":"Yes"},'
                b'"finish_reason":"stop"}]}\n\n',
                b"data: [DONE]\n\n",
            ]
        ),
    }
    body = await rig.ask()
    assert body["choices"][0]["message"]["content"] == "Yes"
    assert about(body)["reason"] == "worst-window" or about(body)["reason"] == "confidence"


async def test_a_quality_in_the_header_holds_where_the_body_says_nothing() -> None:
    rig = CascadeRig({"edge:1": chat("No", -0.2)}, TOP)
    strict, loose = {"cascade_quality": 0.99}, {"cascade_quality": 0.9}
    assert about(await rig.ask(strict))["threshold"] == 0.95
    assert about(await rig.ask(loose))["threshold"] == 0.7
    asked: dict[str, Any] = {"cascade": {"quality": 0.95}}
    assert about(await rig.ask(loose, tierflow=asked))["threshold"] == 0.8


async def test_a_stream_whose_tokens_nobody_can_judge_waits_for_the_top() -> None:
    def replies(*texts: str) -> Callable[[], FakeAnswer]:
        events = [event(text) for text in texts]
        return lambda: FakeAnswer([*events, event("", "stop"), b"data: [DONE]\n\n"])

    rig = CascadeRig({"edge:1": replies("N", "o"), "cloud:1": replies("Ye", "s")}, {})
    messages = [{"role": "user", "content": "hi"}]
    body = orjson.dumps({"model": "tierflow-cascade", "messages": messages, "stream": True})
    sink = ListSink()
    await rig.cascade.answer(request("tierflow-cascade", body=body, stream=True), {}, sink)
    assert b'"No' not in sink.body and b'"N"' not in sink.body
    assert b'"Ye"' in sink.body and sink.body.endswith(b"data: [DONE]\n\n")
