"""Where a broken stream goes on, with what, and when it can't."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from gateway.core.streams.continuation import ContinuationTerms
from gateway.errors import ConnectFailed
from gateway.protocol.paths import CHAT, COMPLETIONS
from tests.unit.gateway.build import state
from tests.unit.gateway.fakes import FakeAnswer, Piece, broken
from tests.unit.gateway.rig import InferenceRig, streamed

pytestmark = pytest.mark.anyio

HEAD = {"id": "one", "object": "chat.completion.chunk", "created": 7, "model": "rill-edge"}
DONE = b"data: [DONE]\n\n"
TERMS = ContinuationTerms(shows_ids=False, keeps_text=False)
FIELDS: dict[str, Any] = {
    "model": "rill-edge",
    "messages": [{"role": "user", "content": "Hi"}],
    "stream": True,
    "max_tokens": 9,
    "seed": 4,
    "logprobs": True,
    "top_logprobs": 2,
}


def event(**fields: Any) -> bytes:
    return b"data: " + json.dumps({**HEAD, **fields}, separators=(",", ":")).encode() + b"\n\n"


def opening(prompt: Sequence[int] | None = (1, 2)) -> bytes:
    role = {"role": "assistant", "content": ""}
    return event(choices=[{"index": 0, "delta": role}], prompt_token_ids=prompt)


def chatted(id: int, text: str) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None, "token_ids": [id]}
    return event(choices=[choice])


def completed(id: int, text: str, reason: str | None = None) -> bytes:
    choice = {"index": 0, "text": text, "finish_reason": reason, "token_ids": [id]}
    return event(id="two", choices=[choice])


def scored(id: int, text: str) -> bytes:
    """A chat's token with its log-probability."""
    logprobs = {"content": [{"token": str(id), "logprob": -1.0, "bytes": [], "top_logprobs": []}]}
    choice = {"index": 0, "delta": {"content": text}, "token_ids": [id], "logprobs": logprobs}
    return event(choices=[choice])


def scored_completion(id: int, text: str, reason: str | None = None) -> bytes:
    logprobs = {
        "tokens": [str(id)],
        "token_logprobs": [-1.0],
        "top_logprobs": [{}],
        "text_offset": [0],
    }
    choice = {"index": 0, "text": text, "finish_reason": reason, "token_ids": [id]}
    return event(id="two", choices=[choice | {"logprobs": logprobs}])


def one_after_another(*answers: Sequence[Piece]) -> Callable[[], FakeAnswer]:
    """What an engine answers, until it can't be reached."""
    following = iter(answers)

    def answer() -> FakeAnswer:
        pieces = next(following, None)
        if pieces is None:
            raise ConnectFailed("no", endpoint="edge:1", code="connect_failed")
        return FakeAnswer(pieces)

    return answer


def rig(
    scripts: dict[str, Callable[[], FakeAnswer]], *, patience_s: float = 0.0, **settings: Any
) -> InferenceRig:
    places = [state("edge:1", "edge"), state("edge:2", "edge")]
    return InferenceRig(scripts, places, continuation={"patience_s": patience_s}, **settings)


def asked(**fields: Any) -> Any:
    body = json.dumps({**FIELDS, **fields}).encode()
    return streamed("rill-edge", path=CHAT, body=body, continuation=TERMS)


def text(body: bytes) -> str:
    lines = [json.loads(line[6:]) for line in body.splitlines() if line.startswith(b"data: {")]
    return "".join(c["delta"].get("content") or "" for line in lines for c in line["choices"])


async def test_another_engine_gets_what_was_sent_and_goes_on_from_there() -> None:
    begun: list[Piece] = [opening(), chatted(5, "It "), chatted(6, "is "), broken()]
    rest = [completed(7, "so"), completed(8, "", "stop"), DONE]
    place = rig({"edge:1": one_after_another(begun), "edge:2": one_after_another(rest)})
    sink = await place.ask(asked())
    assert text(sink.body) == "It is so"
    assert sink.body.endswith(DONE) and sink.failure is None
    assert b'"two"' not in sink.body and b"[5]" not in sink.body
    (_, _, first), (endpoint, path, second) = place.server.calls
    assert json.loads(first)["return_token_ids"] is True
    body = json.loads(second)
    assert (endpoint, path) == ("edge:2", COMPLETIONS)
    assert (body["prompt"], body["max_tokens"], body["seed"]) == ([1, 2, 5, 6], 7, 6)
    assert body["logprobs"] == 2 and "messages" not in body
    (outcome,) = place.telemetry.outcomes
    assert (outcome.kind, outcome.resumptions, outcome.endpoint) == ("ok", 1, "edge:2")
    assert place.telemetry.resumptions == [("chat", "resumed", "engine_disconnected")]
    place.assert_nothing_left_open()


async def test_an_engine_that_goes_on_does_not_get_the_predicted_text() -> None:
    """It knows no such field, and may refuse what it does not know."""
    begun: list[Piece] = [opening(), chatted(5, "It "), broken()]
    rest = [completed(6, "is", "stop"), DONE]
    place = rig({"edge:1": one_after_another(begun), "edge:2": one_after_another(rest)})
    sink = await place.ask(asked(prediction={"type": "content", "content": "It is"}))
    assert text(sink.body) == "It is" and sink.failure is None
    assert "prediction" not in json.loads(place.server.calls[-1][2])


async def test_where_every_engine_breaks_behind_the_opening_one_goes_on_when_it_is_well() -> None:
    begun: list[Piece] = [opening(), broken()]
    rest = [completed(5, "a"), completed(6, "b", "stop"), DONE]
    place = rig(
        {
            "edge:1": one_after_another(begun, rest),
            "edge:2": one_after_another([opening(), broken("edge:2")], rest),
        },
        patience_s=5.0,
    )
    sink = await place.ask(asked())
    assert text(sink.body) == "ab" and sink.failure is None and sink.body.endswith(DONE)
    assert len(place.server.calls) == 3
    place.assert_nothing_left_open()


async def test_a_continued_stream_that_breaks_is_continued_again() -> None:
    begun: list[Piece] = [opening(), chatted(5, "a"), broken()]
    place = rig(
        {
            "edge:1": one_after_another(begun, [completed(7, "c"), completed(8, "", "stop"), DONE]),
            "edge:2": one_after_another([completed(6, "b"), broken()]),
        }
    )
    sink = await place.ask(asked())
    assert text(sink.body) == "abc"
    assert json.loads(place.server.calls[-1][2])["prompt"] == [1, 2, 5, 6]
    assert len(place.telemetry.resumptions) == 2


@pytest.mark.parametrize("stop", [None, "never said at all"])
async def test_tokens_that_are_made_once_more_are_scored_once(stop: str | None) -> None:
    """A letter of two tokens, of which the first engine wrote one, the second none."""
    begun: list[Piece] = [opening(), scored(5, "a"), scored(6, ""), broken()]
    silent: list[Piece] = [scored_completion(6, ""), broken()]
    rest: list[Piece] = [scored_completion(6, ""), scored_completion(7, "\u00e9", "stop"), DONE]
    half, whole = (json.dumps({"prompt": told}).encode() for told in ("a\ufffd", "a"))
    first: list[list[Piece]] = [[half], [whole]] if stop else []
    second: list[list[Piece]] = [[whole]] if stop else []
    place = rig(
        {
            "edge:1": one_after_another(begun, *second, rest),
            "edge:2": one_after_another(*first, silent),
        }
    )
    terms = ContinuationTerms(shows_ids=False, keeps_text=stop is not None)
    body = json.dumps(FIELDS | {"stop": stop}).encode()
    sink = await place.ask(streamed("rill-edge", path=CHAT, body=body, continuation=terms))
    assert sink.failure is None and text(sink.body) == "a\u00e9"
    events = [json.loads(line[6:]) for line in sink.body.splitlines() if line[6:7] == b"{"]
    choices = [choice for event in events for choice in event["choices"]]
    scores = [one["token"] for c in choices for one in (c.get("logprobs") or {}).get("content", ())]
    assert scores == ["5", "6", "7"]


async def test_token_counts_that_the_caller_has_are_not_sent_again() -> None:
    counts = {"prompt_tokens": 2, "completion_tokens": 1, "total_tokens": 3}
    last = event(choices=[{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}])
    begun: list[Piece] = [opening(), last, event(choices=[], usage=counts), broken()]
    place = rig({"edge:1": one_after_another(begun)})
    sink = await place.ask(asked(stream_options={"include_usage": True}))
    assert sink.body.count(b'"total_tokens"') == 1
    assert sink.body.endswith(DONE) and sink.failure is None


async def test_an_answer_with_all_its_tokens_gets_its_end_from_the_gateway() -> None:
    place = rig({"edge:1": one_after_another([opening(), chatted(5, "a"), broken()])})
    sink = await place.ask(asked(max_tokens=1, stream_options={"include_usage": True}))
    last = [json.loads(line[6:]) for line in sink.body.splitlines() if line.startswith(b"data: {")]
    assert last[-2]["choices"][0]["finish_reason"] == "length"
    assert last[-1]["usage"]["completion_tokens"] == 1
    assert sink.body.endswith(DONE) and len(place.server.calls) == 1


@pytest.mark.parametrize(
    "begun",
    [
        [opening(None), chatted(5, "a"), broken()],
        [opening(), event(choices=[{"index": 0, "delta": {"tool_calls": [{}]}}]), broken()],
    ],
)
async def test_what_can_not_be_continued_ends_with_the_engines_failure(begun: list[Piece]) -> None:
    place = rig({name: one_after_another(begun) for name in ("edge:1", "edge:2")})
    sink = await place.ask(asked())
    assert sink.failure is not None and sink.failure.code == "engine_disconnected"
    assert len(place.server.calls) == 1
    assert place.telemetry.resumptions == [("chat", "failed", "engine_disconnected")]
    assert place.telemetry.outcomes[0].kind == "engine_disconnected"
    place.assert_nothing_left_open()


async def test_an_engine_that_goes_on_with_nonsense_is_the_streams_end() -> None:
    begun: list[Piece] = [opening(), chatted(5, "a"), broken()]
    place = rig(
        {
            "edge:1": one_after_another(begun),
            "edge:2": one_after_another([chatted(6, "b"), DONE]),
        }
    )
    sink = await place.ask(asked())
    assert text(sink.body) == "a" and sink.failure is not None
    place.assert_nothing_left_open()


async def test_a_stream_waits_for_an_endpoint_that_comes_up() -> None:
    begun: list[Piece] = [opening(), chatted(5, "a"), broken()]
    place = InferenceRig(
        {
            "edge:1": one_after_another(begun),
            "edge:3": one_after_another([completed(6, "b", "stop"), DONE]),
        },
        [state("edge:1", "edge")],
        continuation={"patience_s": 60},
    )
    answering = asyncio.create_task(place.ask(asked()))
    while not place.endpoints.waiters.waiting:
        await asyncio.sleep(0)
    place.endpoints.arrive(state("edge:3", "edge"))
    sink = await answering
    assert text(sink.body) == "ab" and sink.failure is None


async def test_a_stream_waits_for_endpoints_that_fail_though_they_are_up() -> None:
    """Nothing tells when they are well again, and nobody else asks them."""
    begun: list[Piece] = [opening(), chatted(5, "a"), broken()]
    attempts = 0

    def failing(asked: Callable[[], FakeAnswer]) -> Callable[[], FakeAnswer]:
        def answer() -> FakeAnswer:
            nonlocal attempts
            attempts += 1
            if attempts == 1:
                return FakeAnswer(begun)
            return asked() if attempts > 4 else FakeAnswer([b"{}"], 503, "application/json")

        return answer

    rest = failing(lambda: FakeAnswer([completed(6, "b", "stop"), DONE]))
    place = rig({"edge:1": rest, "edge:2": rest}, patience_s=60)
    sink = await place.ask(asked())
    assert text(sink.body) == "ab" and sink.failure is None
    assert place.telemetry.resumptions == [("chat", "resumed", "engine_disconnected")]
    place.assert_nothing_left_open()


async def test_switched_off_nothing_is_asked_for_and_a_break_is_the_end() -> None:
    begun: list[Piece] = [chatted(5, "a"), broken()]
    place = InferenceRig(
        {"edge:1": one_after_another(begun)},
        [state("edge:1", "edge"), state("edge:2", "edge")],
        continuation={"enabled": False},
    )
    body = json.dumps(FIELDS).encode()
    sink = await place.ask(streamed("rill-edge", path=CHAT, body=body))
    assert sink.failure is not None and place.server.calls[0][2] == body


async def test_a_caller_that_leaves_while_its_stream_waits_is_no_failed_resumption() -> None:
    begun: list[Piece] = [opening(), chatted(5, "a"), broken()]
    place = InferenceRig(
        {"edge:1": one_after_another(begun)},
        [state("edge:1", "edge")],
        continuation={"patience_s": 60},
    )
    answering = asyncio.create_task(place.ask(asked()))
    while not place.endpoints.waiters.waiting:
        await asyncio.sleep(0)
    answering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answering
    assert place.telemetry.outcomes[0].kind == "cancelled"
    assert place.telemetry.resumptions == []
    place.assert_nothing_left_open()
