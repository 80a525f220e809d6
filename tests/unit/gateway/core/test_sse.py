from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.sse import (
    MAX_EVENT_BYTES,
    EventBuffer,
    EventReader,
    Usage,
    count_tokens,
    find_usage,
)
from gateway.errors import EngineFailed

event = st.binary(max_size=30).map(lambda text: b"data: " + text.replace(b"\n", b"") + b"\n\n")


@given(events=st.lists(event, max_size=8), cuts=st.lists(st.integers(0, 200), max_size=8))
def test_what_comes_out_is_what_went_in(events: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(events)
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    buffer = EventBuffer()
    out = [buffer.feed(stream[a:b]) for a, b in zip(edges, edges[1:], strict=False)]
    assert b"".join(out) + buffer.rest() == stream


@given(events=st.lists(event, min_size=1, max_size=8), cut=st.integers(0, 200))
def test_an_event_never_leaves_in_two_parts(events: list[bytes], cut: int) -> None:
    stream = b"".join(events)
    released = EventBuffer().feed(stream[:cut])
    assert released == b"" or released.endswith(b"\n\n")


def test_windows_line_ends_are_event_ends_too() -> None:
    assert EventBuffer().feed(b"data: a\r\n\r\ndata: b") == b"data: a\r\n\r\n"


def test_a_stream_without_event_ends_does_not_fill_the_memory() -> None:
    data = b"x" * (MAX_EVENT_BYTES + 1)
    assert EventBuffer().feed(data) == data


STREAM = (
    b': a comment\n\ndata: {"a":1}\r\n\r\nevent: x\ndata:{"a":2}\n\ndata: [DONE]\n\ndata: late\n\n'
)


@given(cuts=st.sets(st.integers(1, len(STREAM) - 1)))
def test_events_are_read_the_same_however_the_stream_is_cut(cuts: set[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    reader = EventReader("edge:1")
    events = [
        event
        for begin, end in zip(edges, edges[1:], strict=False)
        for event in reader.feed(STREAM[begin:end])
    ]
    assert events == [{"a": 1}, {"a": 2}]
    reader.finish()


def test_events_before_a_broken_one_are_read() -> None:
    events = EventReader("edge:1").feed(b'data: {"a":1}\n\ndata: {half\n\n')
    assert next(events) == {"a": 1}
    with pytest.raises(EngineFailed, match="edge:1 sent something that is not a JSON object"):
        next(events)


@pytest.mark.parametrize(
    ("chunk", "message"),
    [
        (b"data: [1]\n\n", "edge:1 sent something that is not a JSON object"),
        (b'data: {"error":{"message":"secret"}}\n\n', "edge:1 ended its answer with an error"),
        (b"x" * (MAX_EVENT_BYTES + 1), "edge:1 sent an endless event"),
    ],
)
def test_a_broken_event_is_a_failure_that_quotes_nothing(chunk: bytes, message: str) -> None:
    with pytest.raises(EngineFailed) as caught:
        list(EventReader("edge:1").feed(chunk))
    assert (caught.value.message, caught.value.code) == (message, "engine_error")


def test_a_stream_that_closes_before_its_end_is_a_failure() -> None:
    reader = EventReader("edge:1")
    list(reader.feed(b'data: {"a":1}\n\ndata: [DONE]'))
    with pytest.raises(EngineFailed, match="edge:1 ended its answer early") as caught:
        reader.finish()
    assert caught.value.code == "engine_disconnected"


@pytest.mark.parametrize(
    ("events", "tokens"),
    [
        (b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n', 0),
        (b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n', 1),
        (b'data: {"x":1}\n\ndata: {"x":2}\n\ndata: [DONE]\n\n', 2),
        (b": a comment\n\n", 0),
    ],
)
def test_tokens_are_counted_by_event(events: bytes, tokens: int) -> None:
    assert count_tokens(events) == tokens


def test_usage_is_read_from_the_end_of_an_answer() -> None:
    body = b'{"choices":[],"usage":{"prompt_tokens":7,"total_tokens":10,"completion_tokens":3}}'
    assert find_usage(body) == Usage(7, 3)


def test_the_last_usage_counts_and_null_is_none() -> None:
    assert find_usage(b'"usage":{"prompt_tokens":1},"usage":{"prompt_tokens":2}') == Usage(2, 0)
    assert find_usage(b'{"usage":null}') is None


def test_the_responses_api_names_its_tokens_differently() -> None:
    assert find_usage(b'"usage":{"input_tokens":5,"output_tokens":6}') == Usage(5, 6)
