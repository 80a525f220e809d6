from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.streams.sse import (
    MAX_EVENT_BYTES,
    EventBuffer,
    each_event,
    is_event_stream,
    objects,
    payload,
)
from gateway.errors import EngineFailed

event = st.binary(max_size=30).map(lambda text: b"data: " + text.replace(b"\n", b"") + b"\n\n")


@given(events=st.lists(event, max_size=8), cuts=st.lists(st.integers(0, 200), max_size=8))
def test_what_comes_out_is_what_went_in(events: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(events)
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    buffer = EventBuffer("edge:1")
    out = [buffer.feed(stream[a:b]) for a, b in zip(edges, edges[1:], strict=False)]
    assert b"".join(out) + buffer.rest() == stream


@given(events=st.lists(event, min_size=1, max_size=8), cut=st.integers(0, 200))
def test_an_event_never_leaves_in_two_parts(events: list[bytes], cut: int) -> None:
    stream = b"".join(events)
    released = EventBuffer("edge:1").feed(stream[:cut])
    assert released == b"" or released.endswith(b"\n\n")


@pytest.mark.parametrize("blank", [b"\n\n", b"\r\n\r\n", b"\n\r\n"])
def test_a_blank_line_with_any_line_ends_ends_an_event(blank: bytes) -> None:
    assert EventBuffer("edge:1").feed(b"data: a" + blank + b"data: b") == b"data: a" + blank
    assert list(each_event(b"data: a" + blank + b"data: b")) == [b"data: a" + blank, b"data: b"]


def test_a_blank_line_that_comes_in_pieces_ends_an_event_too() -> None:
    buffer = EventBuffer("edge:1")
    assert [buffer.feed(bytes([byte])) for byte in b"data: a\r\n\r\n"][-1] == b"data: a\r\n\r\n"


@pytest.mark.parametrize("line", [b"data: [DONE]", b"data:[DONE]", b"data: [DONE]\r\n"])
def test_done_is_whole_without_its_blank_line(line: bytes) -> None:
    assert EventBuffer("edge:1").feed(b"data: a\n\n" + line) == b"data: a\n\n" + line
    assert EventBuffer("edge:1").feed(line[:-7]) == b""


def test_a_stream_without_event_ends_is_broken_before_it_fills_the_memory() -> None:
    buffer = EventBuffer("edge:1")
    assert buffer.feed(b"x" * MAX_EVENT_BYTES) == b""
    with pytest.raises(EngineFailed, match="edge:1 sent an endless event") as caught:
        buffer.feed(b"x")
    assert caught.value.code == "unreadable_answer"


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (b"data: {}\n\n", b"{}"),
        (b"event: x\nid: 7\ndata:{}\r\n\r\n", b"{}"),
        (b'data: {"a":\ndata: 1}\n\n', b'{"a":\n1}'),
        (b": data: {}\n\n", None),
        (b"event: ping\n\n", None),
        (b"data:\n\n", None),
    ],
)
def test_an_events_data_are_its_data_lines(event: bytes, data: bytes | None) -> None:
    assert payload(event) == data


def test_events_before_a_broken_one_are_read() -> None:
    events = objects(b'data: {"a":1}\n\ndata: {half\n\n', "edge:1")
    assert next(events) == {"a": 1}
    with pytest.raises(EngineFailed, match="edge:1 sent something that is not a JSON object"):
        next(events)


def test_nothing_is_read_after_done() -> None:
    events = b': a comment\n\ndata: {"a":1}\n\ndata: [DONE]\n\ndata: late\n\n'
    assert list(objects(events, "edge:1")) == [{"a": 1}]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"[1]", "unreadable_answer"),
        (b"{half", "unreadable_answer"),
        (b'{"error":{"message":"secret"}}', "error_event"),
    ],
)
def test_a_broken_answer_is_a_failure_that_quotes_nothing(data: bytes, code: str) -> None:
    with pytest.raises(EngineFailed) as caught:
        list(objects(b"data: " + data + b"\n\n", "edge:1"))
    assert caught.value.code == code
    assert "secret" not in caught.value.message


def test_an_error_that_is_null_is_none() -> None:
    assert list(objects(b'data: {"error":null}\n\n', "edge:1")) == [{"error": None}]


@pytest.mark.parametrize(
    ("content_type", "streams"),
    [
        ("text/event-stream", True),
        ("Text/Event-Stream", True),
        (" text/event-stream; charset=utf-8", True),
        ("TEXT/EVENT-STREAM;charset=UTF-8", True),
        ("application/json", False),
        ("", False),
    ],
)
def test_the_case_and_parameters_of_a_content_type_do_not_matter(
    content_type: str, streams: bool
) -> None:
    assert is_event_stream({"content-type": content_type}) is streams
