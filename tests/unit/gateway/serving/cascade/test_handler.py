"""A request to the cascade as a whole: refusals, callers that leave, and what is counted."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from gateway.core.speculation.job import Batch
from gateway.errors import GatewayError, InvalidRequest
from tests.unit.gateway.build import request
from tests.unit.gateway.fakes import (
    FakeAnswer,
    ListSink,
)
from tests.unit.gateway.serving.cascade.rig import CascadeRig, chat, verified

pytestmark = pytest.mark.anyio


def event(text: str, reason: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason}
    return b"data: " + orjson.dumps({"choices": [choice], **more}) + b"\n\n"


def sure(text: str, *ids: int) -> bytes:
    logprobs = {"content": [{"token": "t", "logprob": 0.0}] * len(ids)}
    choice = {"index": 0, "delta": {"content": text}, "token_ids": ids, "logprobs": logprobs}
    return b"data: " + orjson.dumps({"choices": [choice]}) + b"\n\n"


async def test_tokens_made_for_a_caller_that_left_are_reported() -> None:
    small: list[Any] = [event("", prompt_token_ids=[1, 2, 3, 4]), *[sure("a", 7)] * 12, None]
    rig = CascadeRig({"edge:1": lambda: FakeAnswer(small)}, {})
    task = asyncio.create_task(rig.stream())
    while not (rig.server.answers and len(rig.server.answers[0]._pieces) == 0):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    [stage] = rig.cascades.outcomes[0].stages
    assert (stage.tier, stage.tokens, stage.prompt_tokens) == ("edge", 12, 4)


async def test_where_every_tier_fails_the_caller_hears_the_failure() -> None:
    rig = CascadeRig({}, {})
    with pytest.raises(GatewayError) as raised:
        await rig.ask()
    assert raised.value.code in ("no_endpoint", "connect_failed")
    rig.assert_nothing_left_open()


async def test_nothing_stays_open_when_the_caller_leaves() -> None:
    rig = CascadeRig({"edge:1": chat("No", -2.0)}, verified(Batch(ids=[5], text="Y"), None))
    task = asyncio.create_task(rig.ask())
    while not rig.verifier.made:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    rig.assert_nothing_left_open()
    assert rig.telemetry.outcomes[-1].kind == "cancelled"


async def test_only_chat_is_answered() -> None:
    rig = CascadeRig({}, {})
    asked = request("tierflow-cascade", path="/v1/completions", body=b"{}")
    with pytest.raises(InvalidRequest) as raised:
        await rig.cascade.answer(asked, {}, ListSink())
    assert raised.value.param == "model"
