"""What an answer holds beside its text goes through the cascade: tool calls, log-probabilities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from gateway.core.devices.member import WorkEnd, WorkPiece
from gateway.serving.cascade.options import StageSpec
from tests.unit.gateway.fake_members import FakeMembers, steps
from tests.unit.gateway.fakes import FakeAnswer
from tests.unit.gateway.serving.cascade.rig import EDGE_CLOUD, TOP, CascadeRig, about, chat

pytestmark = pytest.mark.anyio

TOOLS: list[dict[str, Any]] = [{"type": "function", "function": {"name": "add"}}]
SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}


def call(arguments: str = '{"a": 1}') -> dict[str, Any]:
    return {"id": "c1", "type": "function", "function": {"name": "add", "arguments": arguments}}


def calling(logprob: float = -0.001, *arguments: str) -> Callable[[], FakeAnswer]:
    """An engine's answer that calls a tool; one choice for each of the `arguments`."""
    choices = [
        {
            "index": place,
            "message": {"role": "assistant", "content": None, "tool_calls": [call(each)]},
            "logprobs": {"content": [{"token": "t", "logprob": logprob}] * 3},
            "finish_reason": "tool_calls",
            "token_ids": [5, 6, 7],
        }
        for place, each in enumerate(arguments or ('{"a": 1}',))
    ]
    usage = {"prompt_tokens": 4, "completion_tokens": 3}
    body = {"id": "a", "object": "chat.completion", "created": 1, "model": "m", "usage": usage}
    data = orjson.dumps({**body, "choices": choices})
    return lambda: FakeAnswer([data], 200, "application/json")


def events(*choices: dict[str, Any]) -> Callable[[], FakeAnswer]:
    """An engine's stream of these choices."""
    data = [b"data: " + orjson.dumps({"choices": [{"index": 0, **each}]}) for each in choices]
    return lambda: FakeAnswer([b"\n\n".join([*data, b"data: [DONE]"]) + b"\n\n"])


CALLS = events(
    {"delta": {"tool_calls": [{"index": 0, **call("")}]}},
    {"delta": {"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]}},
    {"delta": {"tool_calls": [{"index": 0, "function": {"arguments": ": 2}"}}]}},
    {"delta": {}, "finish_reason": "tool_calls"},
)


def sent(rig: CascadeRig, place: int) -> Any:
    return orjson.loads(rig.server.calls[place][2])


def deltas(chunks: list[Any]) -> list[Any]:
    return [choice["delta"] for chunk in chunks for choice in chunk["choices"]]


async def test_a_tool_call_that_the_small_model_is_sure_of_is_the_answer() -> None:
    rig = CascadeRig({"edge:1": calling()}, {})
    body = await rig.ask(tools=TOOLS, tool_choice="auto", parallel_tool_calls=False)
    (choice,) = body["choices"]
    assert choice["message"]["tool_calls"] == [call()]
    assert (choice["finish_reason"], choice["logprobs"]) == ("tool_calls", None)
    told = sent(rig, 0)
    assert (told["tools"], told["tool_choice"], told["parallel_tool_calls"]) == (
        TOOLS,
        "auto",
        False,
    )


async def test_it_streams_as_an_engine_streams_it() -> None:
    rig = CascadeRig({"edge:1": calling()}, {})
    streamed = await rig.stream(tools=TOOLS)
    assert {"tool_calls": [{"index": 0, **call()}]} in deltas(streamed.chunks)
    assert streamed.chunks[-2]["choices"][0]["finish_reason"] == "tool_calls"


async def test_an_unsure_tool_call_is_the_top_tier_s_to_make() -> None:
    rig = CascadeRig({"edge:1": calling(-3.0), "cloud:1": calling(-0.1, '{"a": 2}')}, {})
    body = await rig.ask(tools=TOOLS)
    (choice,) = body["choices"]
    assert choice["message"]["tool_calls"] == [call('{"a": 2}')]
    assert choice["finish_reason"] == "tool_calls"
    assert about(body)["escalated"]
    assert [sent(rig, place)["tools"] for place in (0, 1)] == [TOOLS, TOOLS]
    rig.assert_nothing_left_open()


async def test_the_top_tier_s_call_streams_as_it_comes() -> None:
    rig = CascadeRig({"edge:1": calling(-3.0), "cloud:1": CALLS}, {})
    streamed = await rig.stream(tools=TOOLS)
    pieces = [each["tool_calls"][0] for each in deltas(streamed.chunks) if "tool_calls" in each]
    assert pieces[0]["function"]["name"] == "add"
    assert "".join(each["function"]["arguments"] for each in pieces) == '{"a": 2}'
    assert not streamed.text
    assert streamed.chunks[-2]["choices"][0]["finish_reason"] == "tool_calls"


async def test_where_the_top_tier_fails_the_small_model_s_call_is_given() -> None:
    for stream in (False, True):
        rig = CascadeRig({"edge:1": calling(-3.0)}, {})
        if stream:
            chunks = (await rig.stream(tools=TOOLS)).chunks
            assert {"tool_calls": [{"index": 0, **call()}]} in deltas(chunks)
        else:
            body = await rig.ask(tools=TOOLS)
            assert body["choices"][0]["message"]["tool_calls"] == [call()]
            assert about(body)["degraded"]


@pytest.mark.parametrize(
    ("samples", "escalated"),
    [(['{"a":1}', '{ "a": 1 }'], False), (['{"a": 1}', '{"a": 7}'], True)],
)
async def test_samples_of_tool_calls_agree_where_their_arguments_do(
    samples: list[str], escalated: bool
) -> None:
    def edge() -> FakeAnswer:
        several = orjson.loads(rig.server.calls[-1][2]).get("n")
        return calling(-0.1, *samples)() if several else calling()()

    rig = CascadeRig({"edge:1": edge, "cloud:1": calling(-0.1, '{"a": 2}')}, {})
    options = {
        "cascade": {"confidence": "agreement", "samples": 2, "threshold": 0.9, "features": True}
    }
    body = await rig.ask(tools=TOOLS, tierflow=options)
    assert about(body)["stages"][0]["features"]["agreement"] == (0.5 if escalated else 1.0)


@pytest.mark.parametrize(
    "fields",
    [{"tools": TOOLS}, {"response_format": SCHEMA}, {"logprobs": True}, {"presence_penalty": 1}],
    ids=str,
)
async def test_a_device_is_passed_over_for_what_it_would_not_heed(fields: dict[str, Any]) -> None:
    members = FakeMembers({"phone": "never asked"})
    stages = (StageSpec(devices=("any",)), *EDGE_CLOUD)
    rig = CascadeRig({"edge:1": chat("Yes")}, {}, stages=stages, members=members)
    body = await rig.ask(**fields)
    assert body["choices"][0]["message"]["content"] == "Yes"
    assert not members.orders


async def test_fields_that_change_nothing_keep_a_device_in() -> None:
    answer = steps(
        WorkPiece("Hi", 1),
        WorkEnd(reason="stop", prompt_tokens=4, completion_tokens=1, logprob=-0.01),
    )
    members = FakeMembers({"phone": answer})
    stages = (StageSpec(devices=("any",)), *EDGE_CLOUD)
    rig = CascadeRig({"edge:1": chat("No")}, {}, stages=stages, members=members)
    body = await rig.ask(metadata={"a": "b"}, response_format={"type": "text"}, logprobs=False)
    assert body["choices"][0]["message"]["content"] == "Hi"
    assert members.orders[0][1].id.endswith("/draft")


async def test_fields_that_change_nothing_do_not_rule_out_a_prediction() -> None:
    rig = CascadeRig({"edge:1": chat("No", -2.0)}, TOP)
    body = await rig.ask(metadata={"a": "b"}, response_format={"type": "text"}, store=True)
    assert about(body)["prediction"] == "verified"


@pytest.mark.parametrize("logprob", [-0.001, -3.0])
async def test_log_probabilities_are_those_of_the_model_that_answers(logprob: float) -> None:
    rig = CascadeRig({"edge:1": chat("No", logprob), "cloud:1": chat("Yes", -0.5)}, {})
    body = await rig.ask(logprobs=True, top_logprobs=2)
    (choice,) = body["choices"]
    told = {"No": -0.001, "Yes": -0.5}[choice["message"]["content"]]
    assert [token["logprob"] for token in choice["logprobs"]["content"]] == [told] * 3
    assert all(sent(rig, place)["top_logprobs"] == 2 for place in range(len(rig.server.calls)))


@pytest.mark.parametrize("logprob", [-0.001, -3.0])
async def test_log_probabilities_stream(logprob: float) -> None:
    block = {"content": [{"token": "Yes", "logprob": -0.5}]}
    top = events({"delta": {"content": "Yes"}, "logprobs": block, "finish_reason": "stop"})
    rig = CascadeRig({"edge:1": chat("No", logprob), "cloud:1": top}, {})
    streamed = await rig.stream(logprobs=True)
    blocks = [c["logprobs"] for chunk in streamed.chunks for c in chunk["choices"] if c["logprobs"]]
    told = [token["logprob"] for block in blocks for token in block["content"]]
    assert told == ([-0.5] if logprob < -1 else [logprob] * 3)
    assert streamed.text == ("Yes" if logprob < -1 else "No")


async def test_reasoning_goes_along_with_a_stream() -> None:
    top = events(
        {"delta": {"reasoning_content": "Hm"}},
        {"delta": {"content": "Yes"}, "finish_reason": "stop"},
    )
    rig = CascadeRig({"edge:1": chat("No", -3.0), "cloud:1": top}, {})
    streamed = await rig.stream(chat_template_kwargs={"thinking": True})
    assert {"reasoning_content": "Hm"} in deltas(streamed.chunks)
    rig = CascadeRig({"edge:1": chat("No", -3.0), "cloud:1": top}, {})
    body = await rig.ask(chat_template_kwargs={"thinking": True})
    assert body["choices"][0]["message"]["reasoning_content"] == "Hm"
