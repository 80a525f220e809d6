"""The streams of Anthropic's Messages API, and of responses that an engine has kept."""

from __future__ import annotations

import orjson
import pytest

from gateway.core.streams.answer_stream import AnswerStream
from gateway.core.streams.protocols import answer_count, stream_protocol
from gateway.errors import EngineFailed
from gateway.protocol.paths import CHAT_BATCH, MESSAGES, STORED_RESPONSE


def event(kind: str, **fields: object) -> bytes:
    data = orjson.dumps({**fields, "type": kind})
    return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"


START = event("message_start", message={"id": "m", "usage": {"input_tokens": 9}})
OPEN = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
WORDS = [
    event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})
    for text in ("one", ' "content_block_delta" ', "}\n\nevent: message_stop")
]
CLOSE = event("content_block_stop", index=0)
END = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 3})
STOP = event("message_stop")
EVENTS = [START, OPEN, *WORDS, CLOSE, END, STOP]


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_a_message_passes_byte_for_byte_and_ends_with_its_stop(size: int) -> None:
    stream, whole = AnswerStream(MESSAGES, "edge:1"), b"".join(EVENTS)
    given = b"".join(stream.feed(whole[at : at + size]) for at in range(0, len(whole), size))
    assert given == whole and stream.done and stream.over
    assert stream.feed(b": later\n\n") == b""


def test_its_opening_can_still_be_made_elsewhere() -> None:
    stream = AnswerStream(MESSAGES, "edge:1")
    stream.feed(START + event("ping") + OPEN)
    assert not stream.begun
    stream.feed(WORDS[0])
    assert stream.begun and stream.tokens == 1


def test_the_engines_own_count_is_read() -> None:
    end = event("message_delta", delta={}, usage={"input_tokens": 9, "output_tokens": 3})
    stream = AnswerStream(MESSAGES, "edge:1")
    stream.feed(START + OPEN + WORDS[0] + end + STOP)
    assert stream.usage is not None
    assert (stream.usage.prompt_tokens, stream.usage.completion_tokens) == (9, 3)


@pytest.mark.parametrize("rest", [b"", CLOSE, CLOSE + END])
def test_a_message_without_its_stop_is_not_complete(rest: bytes) -> None:
    stream = AnswerStream(MESSAGES, "edge:1")
    stream.feed(START + OPEN + WORDS[0] + rest)
    with pytest.raises(EngineFailed, match="ended its answer early"):
        stream.finish()


def test_an_engines_error_event_reaches_no_caller() -> None:
    stream = AnswerStream(MESSAGES, "edge:1")
    error = event("error", error={"type": "internal_error", "message": "the prompt"})
    assert stream.feed(START + OPEN + WORDS[0] + error) == START + OPEN + WORDS[0]
    with pytest.raises(EngineFailed, match="ended its answer with an error"):
        stream.finish()


def test_a_message_fails_with_an_event_that_its_client_reads() -> None:
    failure = stream_protocol(MESSAGES).failure(
        b'{"error":{"message":"broke","type":"x","param":null,"code":"engine_error"}}', b"", b""
    )
    name, data, *end = failure.split(b"\n")
    assert (name, end) == (b"event: error", [b"", b""])
    body = orjson.loads(data.removeprefix(b"data: "))
    assert (body["type"], body["error"]["type"]) == ("error", "api_error")


@pytest.mark.parametrize("kind", ["completed", "incomplete", "failed", "cancelled"])
def test_a_kept_response_is_told_as_it_ended(kind: str) -> None:
    last = event(f"response.{kind}", response={"status": kind}, sequence_number=1)
    stream = AnswerStream(STORED_RESPONSE, "edge:1")
    assert stream.feed(last) == last and stream.done
    stream_protocol(STORED_RESPONSE).check({"object": "response", "status": kind}, "edge:1")


def test_each_chat_of_a_batch_is_an_answer() -> None:
    chat = [{"role": "user", "content": "hi"}]
    assert answer_count(CHAT_BATCH, {"messages": [chat, chat], "n": 3}) == 6
    assert answer_count(MESSAGES, {"messages": chat}) == 1
