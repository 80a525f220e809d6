"""Server models of a collective whose engines' answers are not quite those of the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from gateway.errors import EngineFailed
from gateway.serving.collective.server_model import ServerModel
from gateway.serving.requests.engine_calls import EngineCall
from tests.unit.gateway.build import request, state
from tests.unit.gateway.fakes import FakeAnswer
from tests.unit.gateway.rig import SharedRig

pytestmark = pytest.mark.anyio

CALL = EngineCall(
    parent=request("tierflow-collective"),
    part="aggregate",
    model="rill-edge",
    body={"messages": [{"role": "user", "content": "hi"}]},
)
GOOD = {"index": 0, "message": {"role": "assistant", "content": "42"}, "finish_reason": "stop"}
NO_ANSWERS = {
    "choice-null": [None],
    "message-null": [{"message": None}],
    "message-text": [{"message": "42"}],
    "content-number": [{"message": {"content": 5}}],
    "call-null": [{"message": {"content": "", "tool_calls": [None]}}],
}


def whole(choices: Any, usage: Any = None) -> Callable[[], FakeAnswer]:
    data = orjson.dumps({"id": "a", "choices": choices, "usage": usage})
    return lambda: FakeAnswer([data], 200, "application/json")


def streamed(*choices: Any, usage: Any = None) -> Callable[[], FakeAnswer]:
    bodies = [{"id": "a", "choices": [choice], "usage": usage} for choice in choices]
    data = b"".join(b"data: " + orjson.dumps(body) + b"\n\n" for body in bodies)
    return lambda: FakeAnswer([data + b"data: [DONE]\n\n"])


def rig(**scripts: Callable[[], FakeAnswer]) -> SharedRig:
    engines = {f"edge:{name[-1]}": script for name, script in scripts.items()}
    return SharedRig(engines, [state("edge:1"), state("edge:2", waiting=5)][: len(engines)])


@pytest.mark.parametrize("choices", NO_ANSWERS.values(), ids=NO_ANSWERS.keys())
async def test_another_endpoint_answers_for_one_whose_answer_is_none(choices: Any) -> None:
    both = rig(edge_1=whole(choices), edge_2=whole([GOOD]))
    answer = await ServerModel(both.shared.calls).whole(CALL)
    assert (answer.text, answer.endpoint) == ("42", "edge:2")
    alone = rig(edge_1=whole(choices))
    with pytest.raises(EngineFailed, match=r"not a chat completion: choices\[0\]"):
        await ServerModel(alone.shared.calls).whole(CALL)
    assert [each.in_flight for each in (*both.states, *alone.states)] == [0, 0, 0]


@pytest.mark.parametrize(
    "usage", [[1], "x", {"prompt_tokens": None, "completion_tokens": "x"}, {"prompt_tokens": "3"}]
)
async def test_odd_token_counts_lose_no_answer(usage: Any) -> None:
    answer = await ServerModel(rig(edge_1=whole([GOOD], usage)).shared.calls).whole(CALL)
    assert (answer.text, answer.prompt_tokens, answer.completion_tokens) == ("42", 0, 0)
    assert await text(rig(edge_1=streamed(said("42", "stop"), usage=usage))) == "42"


@pytest.mark.parametrize("first", [None, {"delta": {"content": 5}}, {"delta": "42"}], ids=str)
async def test_a_stream_that_begins_with_no_event_of_a_chat_is_another_endpoints(
    first: Any,
) -> None:
    odd, good = streamed(first, said("x", "stop")), streamed(said("42", "stop"))
    assert await text(rig(edge_1=odd, edge_2=good)) == "42"


async def test_a_delta_that_is_null_ends_no_stream() -> None:
    events = [{"index": 0, "delta": None}, said("42"), {"index": 0, "finish_reason": "stop"}]
    assert await text(rig(edge_1=streamed(*events))) == "42"


def said(words: str, reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": {"content": words}, "finish_reason": reason}


async def text(rig: SharedRig) -> str:
    replies = [reply async for reply in rig.shared.calls.stream(CALL)]
    return "".join(choice.text for reply in replies for choice in reply.choices)
