from __future__ import annotations

from contextlib import aclosing
from typing import Any

import pytest

from gateway.errors import EngineFailed, GatewayError
from gateway.serving.requests.engine_calls import EngineCall
from gateway.serving.requests.progress_timeout import AnswerTimeouts
from tests.unit.gateway.build import request
from tests.unit.gateway.fakes import CommentingAnswer, Piece
from tests.unit.gateway.rig import SharedRig, stream, whole

pytestmark = pytest.mark.anyio

A = b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":null}]}\n\n'
B = b'data: {"choices":[{"delta":{"content":"b"},"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2}}\n\n'
DONE = b"data: [DONE]\n\n"
ERROR = b'data: {"error":{"message":"secret"}}\n\n'
ABORT = b'data: {"choices":[{"delta":{},"finish_reason":"abort"}]}\n\n'
NEVER = None
IMPATIENT = AnswerTimeouts(first_token_s=30.0, idle_s=0.02, answer_s=30.0)


def call() -> EngineCall:
    return EngineCall(parent=request(), part="aggregate", model="rill-edge", body={"messages": []})


async def texts(rig: SharedRig) -> list[Any]:
    said = []
    async with aclosing(rig.shared.calls.stream(call())) as replies:
        async for reply in replies:
            said += [choice["delta"]["content"] for choice in reply.body["choices"]]
    return said


@pytest.mark.parametrize("late", [[], [NEVER], [ERROR]])
async def test_a_call_is_over_at_done_and_brings_the_engines_counts(late: list[Piece]) -> None:
    rig = SharedRig({"edge:1": stream(A, B, USAGE, DONE, *late)})
    assert await texts(rig) == ["a", "b"]
    outcome = rig.telemetry.outcomes[0]
    assert (outcome.kind, outcome.prompt_tokens, outcome.completion_tokens) == ("ok", 5, 2)
    assert rig.server.answers[0].drained and rig.server.answers[0].closed


@pytest.mark.parametrize(
    ("pieces", "code"),
    [
        ([A, B], "engine_disconnected"),
        ([A, ERROR, DONE], "error_event"),
        ([A, ABORT, DONE], "engine_aborted"),
        ([A, b"data: {half\n\n", DONE], "unreadable_answer"),
        ([A, NEVER], "idle_timeout"),
    ],
)
async def test_a_call_whose_stream_breaks_is_a_failure_and_counted_as_that(
    pieces: list[Piece], code: str
) -> None:
    rig = SharedRig({"edge:1": stream(*pieces)}, timeouts=IMPATIENT)
    with pytest.raises(GatewayError) as caught:
        await texts(rig)
    assert caught.value.code == code
    outcome = rig.telemetry.outcomes[0]
    assert (outcome.kind, outcome.status) == (code, 200)
    assert outcome.completion_tokens >= 1
    assert rig.server.answers[0].closed


async def test_comments_do_not_keep_a_call_waiting() -> None:
    rig = SharedRig({"edge:1": lambda: CommentingAnswer([A])}, timeouts=IMPATIENT)
    with pytest.raises(GatewayError) as caught:
        await texts(rig)
    assert caught.value.code == "idle_timeout"


async def test_a_stream_that_is_answered_in_one_piece_is_a_failure() -> None:
    rig = SharedRig({"edge:1": whole(b'{"choices":[{"message":{"content":"a"}}]}')})
    with pytest.raises(EngineFailed) as caught:
        await texts(rig)
    assert caught.value.code == "unreadable_answer"
