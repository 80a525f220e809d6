from __future__ import annotations

from dataclasses import dataclass

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.streams.answer_stream import AnswerStream
from gateway.core.streams.usage import Usage
from gateway.errors import EngineFailed
from gateway.protocol.paths import CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES

ROLE = b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'
A = b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":null}]}\n\n'
B = b'data: {"choices":[{"delta":{"content":"b"},"finish_reason":"stop"}]}\n\n'
STOP = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2}}\n\n'
DONE = b"data: [DONE]\n\n"
COMMENT = b": still here\n\n"
ERROR = b'data: {"error":{"message":"secret","code":500}}\n\n'
ABORT = b'data: {"choices":[{"delta":{},"finish_reason":"abort"}]}\n\n'
GARBAGE = b'data: {"id":"\xff\xfe,,,\n\n'


def typed(kind: str, number: int, **fields: object) -> bytes:
    data = orjson.dumps({**fields, "sequence_number": number, "type": kind})
    return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"


CREATED = typed("response.created", 0, response={"id": "r", "status": "in_progress", "error": None})
DELTA = typed("response.output_text.delta", 1, delta="a", logprobs=[])
USED = {"input_tokens": 5, "output_tokens": 1}
COMPLETED = typed("response.completed", 2, response={"status": "completed", "usage": USED})


@dataclass
class Reading:
    """All that a reader of a stream learns."""

    events: bytes
    code: str
    tokens: int
    usage: Usage | None


def read(path: str, *chunks: bytes, several: bool = False) -> Reading:
    stream = AnswerStream(path, "edge:1", several=several)
    events: list[bytes] = []
    tokens, code = 0, "ok"
    try:
        for chunk in chunks:
            events.append(stream.feed(chunk))
            tokens += stream.tokens
        if not stream.done:
            events.append(stream.finish())
    except EngineFailed as failure:
        assert "secret" not in failure.message
        code = failure.code
    return Reading(b"".join(events), code, tokens, stream.usage)


STREAMS = {
    "complete": (CHAT, ROLE + A + B + USAGE + DONE),
    "without a last blank line": (CHAT, ROLE + A + B + b"data: [DONE]"),
    "with comments": (CHAT, COMMENT + A + COMMENT + B + DONE + b": " + b"x" * 90 + b"\n\n"),
    "goes on after its end": (COMPLETIONS, A + B + DONE + ERROR + A),
    "has no finish reason": (CHAT, ROLE + A + A + USAGE + DONE),
    "ends with no token": (CHAT, ROLE + STOP + DONE),
    "nothing but a role": (CHAT, ROLE + DONE),
    "windows line ends": (CHAT, (ROLE + A + B + DONE).replace(b"\n", b"\r\n")),
    "fails with an error": (CHAT, ROLE + A + ERROR + DONE),
    "is aborted": (CHAT, A + ABORT + DONE),
    "turns to garbage": (CHAT, A + GARBAGE + B + DONE),
    "ends early": (CHAT, A + B),
    "ends in half an event": (CHAT, A + B[:30]),
    "speaks of errors": (
        CHAT,
        A.replace(b'"a"', b'"error"') + B.replace(b'"b"', b'"abort"') + DONE,
    ),
    "response": (RESPONSES, CREATED + DELTA + COMPLETED),
    "response that goes on": (RESPONSES, CREATED + DELTA + COMPLETED + DONE + DELTA),
    "response that ends early": (RESPONSES, CREATED + DELTA),
    "unknown route": (EMBEDDINGS, A + B),
}


@pytest.mark.parametrize(
    ("name", "given", "code"),
    [
        ("complete", ROLE + A + B + USAGE + DONE, "ok"),
        ("without a last blank line", ROLE + A + B + DONE, "ok"),
        ("with comments", COMMENT + A + COMMENT + B + DONE, "ok"),
        ("goes on after its end", A + B + DONE, "ok"),
        ("has no finish reason", ROLE + A + A + USAGE, "engine_disconnected"),
        ("ends with no token", ROLE + STOP + DONE, "ok"),
        ("nothing but a role", ROLE, "engine_disconnected"),
        ("fails with an error", ROLE + A, "error_event"),
        ("is aborted", A, "engine_aborted"),
        ("turns to garbage", A, "unreadable_answer"),
        ("ends early", A + B, "engine_disconnected"),
        ("ends in half an event", A, "engine_disconnected"),
        ("speaks of errors", STREAMS["speaks of errors"][1], "ok"),
        ("response", CREATED + DELTA + COMPLETED, "ok"),
        ("response that goes on", CREATED + DELTA + COMPLETED, "ok"),
        ("response that ends early", CREATED + DELTA, "engine_disconnected"),
        ("unknown route", A + B, "ok"),
    ],
)
def test_good_events_are_given_and_the_end_is_told(name: str, given: bytes, code: str) -> None:
    path, data = STREAMS[name]
    reading = read(path, data)
    assert (reading.events, reading.code) == (given, code)


@pytest.mark.parametrize("name", STREAMS)
@given(cuts=st.sets(st.integers(1, 600), max_size=6))
def test_a_stream_reads_the_same_however_it_is_cut(name: str, cuts: set[int]) -> None:
    path, data = STREAMS[name]
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    chunks = [data[begin:end] for begin, end in zip(edges, edges[1:], strict=False)]
    assert read(path, *chunks) == read(path, data)


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_that_comes_byte_by_byte_reads_the_same(name: str) -> None:
    path, data = STREAMS[name]
    assert read(path, *(bytes([byte]) for byte in data)) == read(path, data)


@given(junk=st.binary(max_size=60), cut=st.integers(0, 60))
def test_whatever_an_engine_sends_the_caller_gets_whole_events(junk: bytes, cut: int) -> None:
    reading = read(CHAT, A, junk[:cut], junk[cut:])
    assert reading.events.startswith(A)
    assert reading.events.endswith(b"\n")


@pytest.mark.parametrize(
    ("events", "code"),
    [
        (typed("error", 2, message="secret"), "error_event"),
        (typed("response.failed", 2, response={"error": {"message": "secret"}}), "error_event"),
        (typed("response.completed", 2, response={"status": "cancelled"}), "engine_aborted"),
        (DONE, "engine_disconnected"),
        (b'event: unknown\ndata: {"error":{"message":"secret"}}\n\n', "error_event"),
    ],
)
def test_a_response_fails_in_these_ways(events: bytes, code: str) -> None:
    reading = read(RESPONSES, CREATED, DELTA + events)
    assert (reading.events, reading.code) == (CREATED + DELTA, code)


def test_a_response_that_hit_its_limit_is_complete() -> None:
    cut = typed("response.incomplete", 2, response={"status": "incomplete"})
    assert read(RESPONSES, CREATED, cut).code == "ok"
    assert read(RESPONSES, CREATED, cut.strip()).events == CREATED + cut


def of_text(index: int, reason: str | None = None) -> bytes:
    choice = {"index": index, "delta": {"content": "a"}, "finish_reason": reason}
    return b"data: " + orjson.dumps({"choices": [choice]}) + b"\n\n"


def test_each_text_of_several_has_to_end() -> None:
    both = of_text(0) + of_text(1)
    ends = of_text(0, "stop"), of_text(1, "length")
    assert read(CHAT, both, *ends, DONE, several=True).code == "ok"
    assert read(CHAT, both, ends[0], of_text(1), DONE, several=True).code == "engine_disconnected"
    # An engine may give fewer texts than it was asked for.
    assert read(CHAT, of_text(0), ends[0], DONE, several=True).code == "ok"


NOTHING = [b"data: {}\n\n", b'data: {"detail":"busy"}\n\n', ROLE, USAGE]
NOTHING += [b'data: {"choices":[]}\n\n', b'data: {"choices":null}\n\n']


@pytest.mark.parametrize("events", [b"", COMMENT, *NOTHING, ROLE + USAGE])
def test_a_stream_that_says_nothing_is_no_answer_and_has_not_begun(events: bytes) -> None:
    for several in (False, True):
        assert read(CHAT, events + DONE, several=several).code == "engine_disconnected"
        stream = AnswerStream(CHAT, "edge:1", several=several)
        stream.feed(events)
        assert not stream.begun and stream.tokens == 0


@pytest.mark.parametrize(
    ("path", "event"),
    [
        (CHAT, A),
        (CHAT, STOP),
        (CHAT, b'data: {"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}\n\n'),
        (CHAT, b'data: {"choices":[{"delta":{"reasoning":"hm"}}]}\n\n'),
        (CHAT, b'data: {"choices":[{"delta":{"content":""},"token_ids":[7]}]}\n\n'),
        (COMPLETIONS, b'data: {"choices":[{"text":"a","finish_reason":null}]}\n\n'),
        (COMPLETIONS, b'data: {"choices":[{"text":"","finish_reason":"length"}]}\n\n'),
        (RESPONSES, DELTA),
        (RESPONSES, COMPLETED),
    ],
)
def test_an_answer_begins_with_its_first_token_or_its_end(path: str, event: bytes) -> None:
    opening = CREATED if path == RESPONSES else ROLE
    for chunks in ([opening, event], [opening + event]):
        stream = AnswerStream(path, "edge:1")
        for piece in chunks:
            assert not stream.begun
            stream.feed(piece)
        assert stream.begun


def test_the_end_is_known_at_done_and_comments_are_no_progress() -> None:
    stream = AnswerStream(CHAT, "edge:1")
    states = []
    for chunk in (COMMENT, A, COMMENT, B[:20], B[20:], b"data: [DONE]"):
        stream.feed(chunk)
        states.append((stream.progressed, stream.over, stream.done))
    progress = [False, True, False, False, True, True]
    assert [state[0] for state in states] == progress
    assert [state[1:] for state in states] == [(False, False)] * 5 + [(True, True)]


@pytest.mark.parametrize(
    ("path", "events", "tokens"),
    [
        (CHAT, ROLE, 0),
        (CHAT, ROLE + ROLE, 0),
        (CHAT, ROLE + A, 1),
        (CHAT, A + B + DONE, 2),
        (CHAT, COMMENT + A, 1),
        (CHAT, ROLE + A + A + A + B + USAGE + DONE, 4),
        (CHAT, A + ERROR, 1),
        (CHAT, A + GARBAGE, 1),
        (RESPONSES, CREATED + DELTA + DELTA, 2),
        (RESPONSES, CREATED + DELTA + COMPLETED, 1),
    ],
)
def test_tokens_are_counted_by_event_and_only_good_ones(
    path: str, events: bytes, tokens: int
) -> None:
    assert read(path, events).tokens == tokens


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
def test_usage_is_found_in_the_last_events(path: str) -> None:
    assert read(path, *[A] * 9, B, USAGE, DONE).usage == Usage(5, 2)
    assert read(path, *[A] * 9, B, DONE).usage is None


def test_a_response_tells_its_usage_with_its_end() -> None:
    assert read(RESPONSES, CREATED, DELTA, COMPLETED).usage == Usage(5, 1)
