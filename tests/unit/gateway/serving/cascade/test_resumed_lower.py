"""A lower tier's stream breaks: another endpoint of the tier goes on, else the tier above."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.core.speculation.job import Batch
from gateway.errors import EngineFailed
from tests.unit.gateway.build import state
from tests.unit.gateway.fakes import FakeAnswer
from tests.unit.gateway.serving.cascade.rig import CascadeRig

pytestmark = pytest.mark.anyio
HEAD = {"id": "a", "created": 1, "model": "rill-edge"}


def event(body: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps({**HEAD, **body}) + b"\n\n"


def sure(text: str, *ids: int, **more: Any) -> bytes:
    logprobs = {"content": [{"token": "t", "logprob": -0.001}] * len(ids)}
    choice = {"index": 0, "delta": {"content": text}, "token_ids": ids, "logprobs": logprobs}
    return event({"choices": [{**choice, "finish_reason": None}], **more})


BROKEN: list[Any] = [
    sure("", prompt_token_ids=[1, 2]),
    sure("He", 5),
    sure("l", 6),
    EngineFailed("broke", endpoint="edge:1", code="engine_disconnected"),
]


def rest() -> FakeAnswer:
    logprobs = {"tokens": ["lo"], "token_logprobs": [-0.001], "top_logprobs": [{"lo": -0.001}]}
    choice = {"index": 0, "text": "lo", "token_ids": [7], "logprobs": logprobs}
    end = event({"choices": [{**choice, "finish_reason": "stop"}]})
    usage = {"prompt_tokens": 4, "completion_tokens": 1, "total_tokens": 5}
    return FakeAnswer([end, event({"choices": [], "usage": usage}), b"data: [DONE]\n\n"])


async def test_another_endpoint_of_the_tier_goes_on_and_nothing_goes_up() -> None:
    states = [state("edge:1"), state("edge:2", waiting=5), state("cloud:1", "cloud")]
    small = {"edge:1": lambda: FakeAnswer(BROKEN), "edge:2": rest}
    rig = CascadeRig(small, {}, states=states)
    body = await rig.stream()
    assert body.text == "Hello"
    (stage,) = body.about["stages"]
    assert (stage["decision"], stage["tokens"]) == ("accepted", 3)
    assert body.usage["completion_tokens"] == 3
    assert rig.telemetry.resumptions == [("cascade", "resumed", "engine_disconnected")]
    rig.assert_nothing_left_open()


async def test_without_another_endpoint_the_tier_above_goes_on_at_once() -> None:
    small = {"edge:1": lambda: FakeAnswer(BROKEN)}
    large = {"cloud:1": lambda: [Batch(ids=[8], reason="stop", text="Hey")]}
    rig = CascadeRig(small, large)
    body = await rig.stream()
    assert body.text.endswith("Hey")
    assert [stage["decision"] for stage in body.about["stages"]] == ["failed", "answered"]
    assert rig.telemetry.resumptions == [], "the answer went on, and no stream failed"
    rig.assert_nothing_left_open()
