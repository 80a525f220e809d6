"""Streams of the gateway's own that break in the middle: another endpoint goes on with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson
import pytest

from gateway.errors import EngineFailed
from gateway.serving.requests.engine_calls import EngineCall, EngineReply
from tests.unit.gateway.build import request, state
from tests.unit.gateway.fakes import FakeAnswer
from tests.unit.gateway.rig import SharedRig

pytestmark = pytest.mark.anyio
MESSAGES = [{"role": "user", "content": "hi"}]


def broke() -> EngineFailed:
    return EngineFailed("broke", endpoint="edge:1", code="engine_disconnected")


def events(*bodies: dict[str, Any]) -> list[bytes]:
    return [b"data: " + orjson.dumps(body) + b"\n\n" for body in bodies]


def said(text: str, *ids: int, **more: Any) -> dict[str, Any]:
    """One event of a chat completion's stream."""
    head = {"id": "chatcmpl-1", "created": 1, "model": "rill-edge"}
    choice = {"index": 0, "delta": {"content": text}, "token_ids": list(ids), "finish_reason": None}
    return {**head, "choices": [choice], **more}


def completed(text: str, *ids: int, reason: str | None = None) -> dict[str, Any]:
    """One event of a completion's stream."""
    choice = {"index": 0, "text": text, "token_ids": list(ids), "finish_reason": reason}
    return {"id": "cmpl-1", "created": 1, "model": "rill-edge", "choices": [choice]}


BEGINNING = [*events(said("", prompt_token_ids=[1, 2, 3]), said("He", 5), said("l", 6)), broke()]
REST = [
    *events(
        completed("lo", 7, reason="stop"),
        {
            "id": "cmpl-1",
            "created": 1,
            "model": "rill-edge",
            "choices": [],
            "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6},
        },
    ),
    b"data: [DONE]\n\n",
]


class Calls(SharedRig):
    def __init__(self, first: Sequence[Any], second: Sequence[Any] | None, **settings: Any) -> None:
        scripts: dict[str, Callable[[], FakeAnswer]] = {"edge:1": lambda: FakeAnswer(first)}
        if second is not None:
            scripts["edge:2"] = lambda: FakeAnswer(second)
        states = [state("edge:1"), state("edge:2", waiting=5)]
        super().__init__(scripts, states, **settings)

    async def stream(self, way: str = "collective") -> list[EngineReply]:
        call = EngineCall(
            parent=request("tierflow-collective"),
            part="aggregate",
            model="rill-edge",
            body={"messages": MESSAGES, "max_tokens": 9},
            way=way,
        )
        return [reply async for reply in self.shared.calls.stream(call)]


def text(replies: Sequence[EngineReply]) -> str:
    deltas = [choice["delta"] for reply in replies for choice in reply.body.get("choices") or ()]
    return "".join(delta.get("content") or "" for delta in deltas)


async def test_another_endpoint_goes_on_from_the_token_ids() -> None:
    rig = Calls(BEGINNING, REST)
    replies = await rig.stream()
    assert text(replies) == "Hello"
    assert replies[-1].endpoint == "edge:2"
    usage = next(reply.body["usage"] for reply in replies if reply.body.get("usage"))
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (3, 3)
    _, (endpoint, path, body) = rig.server.calls
    asked = orjson.loads(body)
    assert (endpoint, path) == ("edge:2", "/v1/completions")
    assert (asked["prompt"], asked["max_tokens"]) == ([1, 2, 3, 5, 6], 7)
    assert rig.telemetry.resumptions == [("collective", "resumed", "engine_disconnected")]
    (outcome,) = rig.telemetry.outcomes
    assert (outcome.kind, outcome.prompt_tokens, outcome.completion_tokens) == ("ok", 3, 3)
    assert [each.in_flight for each in rig.states] == [0, 0]


@pytest.mark.parametrize(
    ("way", "settings"), [("", {}), ("collective", {"continuation": {"enabled": False}})]
)
async def test_a_stream_that_is_not_to_go_on_breaks(way: str, settings: dict[str, Any]) -> None:
    rig = Calls(BEGINNING, REST, **settings)
    with pytest.raises(EngineFailed, match="broke"):
        await rig.stream(way)
    assert len(rig.server.calls) == 1
    assert b"return_token_ids" not in rig.server.calls[0][2]
    assert [each.in_flight for each in rig.states] == [0, 0]


async def test_a_stream_whose_engine_tells_no_ids_breaks() -> None:
    rig = Calls([*events(said("He"), said("l")), broke()], REST)
    with pytest.raises(EngineFailed, match="broke"):
        await rig.stream()
    assert rig.telemetry.resumptions == [("collective", "failed", "engine_disconnected")]
    assert [each.in_flight for each in rig.states] == [0, 0]
