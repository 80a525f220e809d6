"""Engines whose answers are not quite those of the API: what can be used of them is, and what can't
is left to another endpoint or to the top tier."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from gateway.errors import EngineFailed, InvalidRequest, RouteNotServed
from tests.unit.gateway.build import state
from tests.unit.gateway.fakes import FakeAnswer
from tests.unit.gateway.serving.cascade.rig import CascadeRig, about, chat

pytestmark = pytest.mark.anyio

GOOD = {
    "index": 0,
    "message": {"role": "assistant", "content": "Odd"},
    "logprobs": {"content": [{"token": "t", "logprob": -0.001}] * 3},
    "finish_reason": "stop",
    "token_ids": [5, 6, 7],
}
NO_ANSWERS = {
    "choice-null": [None],
    "message-null": [{**GOOD, "message": None}],
    "message-text": [{**GOOD, "message": "Odd"}],
    "content-number": [{**GOOD, "message": {"content": 5}}],
    "call-null": [{**GOOD, "message": {"content": "", "tool_calls": [None]}}],
}
ODD_COUNTS: list[Any] = [
    None,
    [1],
    "x",
    {"prompt_tokens": None, "completion_tokens": "x"},
    {"prompt_tokens": "3"},
    {"prompt_tokens": -3, "completion_tokens": 1e300},
]


def whole(choices: Any, usage: Any = None) -> Callable[[], FakeAnswer]:
    body = {"id": "a", "object": "chat.completion", "created": 1, "model": "m", "usage": usage}
    data = orjson.dumps({**body, "choices": choices})
    return lambda: FakeAnswer([data], 200, "application/json")


def streamed(*bodies: Any) -> Callable[[], FakeAnswer]:
    data = b"".join(b"data: " + orjson.dumps(body) + b"\n\n" for body in bodies)
    return lambda: FakeAnswer([data + b"data: [DONE]\n\n"])


def event(delta: Any, reason: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {"id": "a", "created": 1, "model": "m", "choices": [choice], **more}


@pytest.mark.parametrize("choices", NO_ANSWERS.values(), ids=NO_ANSWERS.keys())
async def test_an_answer_that_is_none_is_left_to_the_top_tier(choices: Any) -> None:
    rig = CascadeRig({"edge:1": whole(choices), "cloud:1": chat("Yes")}, {})
    body = await rig.ask()
    assert body["choices"][0]["message"]["content"] == "Yes"
    assert about(body)["stages"][-1]["tier"] == "cloud"
    rig.assert_nothing_left_open()


@pytest.mark.parametrize("choices", NO_ANSWERS.values(), ids=NO_ANSWERS.keys())
async def test_another_endpoint_is_asked_first(choices: Any) -> None:
    states = [state("edge:1"), state("edge:2", waiting=5), state("cloud:1")]
    rig = CascadeRig({"edge:1": whole(choices), "edge:2": chat("Yes")}, {}, states=states)
    body = await rig.ask()
    assert body["choices"][0]["message"]["content"] == "Yes"
    assert not about(body)["escalated"]


@pytest.mark.parametrize("choices", NO_ANSWERS.values(), ids=NO_ANSWERS.keys())
async def test_where_no_engine_gives_an_answer_the_caller_reads_what_is_wrong(choices: Any) -> None:
    rig = CascadeRig({"edge:1": whole(choices), "cloud:1": whole(choices)}, {})
    with pytest.raises(EngineFailed, match="not a chat completion: choices"):
        await rig.ask()
    rig.assert_nothing_left_open()


@pytest.mark.parametrize("usage", ODD_COUNTS, ids=str)
@pytest.mark.parametrize("confidence", ["logprobs", "agreement", "self-check"])
async def test_odd_token_counts_lose_no_answer(usage: Any, confidence: str) -> None:
    rig = CascadeRig({"edge:1": whole([GOOD], usage)}, {})
    body = await rig.ask(tierflow={"cascade": {"confidence": confidence, "threshold": 0.1}})
    assert body["choices"][0]["message"]["content"] == "Odd"
    assert body["usage"]["completion_tokens"] >= 0
    assert all(0 <= outcome.used_tokens < 100 for outcome in rig.telemetry.outcomes)


@pytest.mark.parametrize("missing", ["index", "finish_reason", "logprobs", "token_ids"])
async def test_an_answer_without_what_is_only_about_it_is_given(missing: str) -> None:
    choice = {name: value for name, value in GOOD.items() if name != missing}
    rig = CascadeRig({"edge:1": whole([choice]), "cloud:1": whole([choice])}, {})
    body = await rig.ask()
    assert body["choices"][0]["message"]["content"] == "Odd"


@pytest.mark.parametrize(
    "events",
    [
        [event(None), event({"content": "Odd"}), event(None, "stop")],
        [event({"content": "Odd"}, "stop", usage={"prompt_tokens": "3"})],
        [event({"content": "Odd"}, "stop", usage=[1])],
    ],
    ids=str,
)
async def test_a_stream_with_odd_events_is_given(events: list[Any]) -> None:
    rig = CascadeRig({"edge:1": streamed(*events)}, {})
    reply = await rig.stream(tierflow={"cascade": {"threshold": 0.0}})
    assert reply.text == "Odd"


@pytest.mark.parametrize("first", [{"choices": [None]}, event({"content": 5}), event("Odd")])
async def test_a_stream_that_begins_with_no_event_of_a_chat_is_left_to_the_top(first: Any) -> None:
    odd = streamed(first, event({"content": "x"}, "stop"))
    top = streamed(event({"content": "Yes"}), event({}, "stop"))
    rig = CascadeRig({"edge:1": odd, "cloud:1": top}, {})
    assert (await rig.stream()).text == "Yes"
    rig.assert_nothing_left_open()


async def test_a_whole_answer_in_place_of_a_stream_is_an_answer() -> None:
    rig = CascadeRig({"edge:1": whole([GOOD])}, {})
    assert (await rig.stream(tierflow={"cascade": {"threshold": 0.0}})).text == "Odd"


@pytest.mark.parametrize("status", [404, 501])
async def test_where_no_engine_has_the_route_the_caller_reads_that(status: int) -> None:
    odd = answered(status, {"detail": "Not Found"})
    rig = CascadeRig({"edge:1": odd, "cloud:1": odd}, {})
    with pytest.raises(RouteNotServed, match="have no route /v1/chat/completions") as caught:
        await rig.ask()
    assert caught.value.code == "route_not_served"
    rig.assert_nothing_left_open()


async def test_another_tier_answers_where_one_does_not_have_the_route() -> None:
    rig = CascadeRig({"edge:1": answered(404, {"detail": "Not Found"}), "cloud:1": chat("Yes")}, {})
    assert (await rig.ask())["choices"][0]["message"]["content"] == "Yes"


async def test_a_refusal_tells_the_engine_s_own_reason() -> None:
    rig = CascadeRig({"edge:1": answered(400, {"error": "max_tokens is too large: 99"})}, {})
    with pytest.raises(InvalidRequest) as caught:
        await rig.ask()
    assert caught.value.reason == "max_tokens is too large: 99"


def answered(status: int, body: Any) -> Callable[[], FakeAnswer]:
    return lambda: FakeAnswer([orjson.dumps(body)], status, "application/json")
