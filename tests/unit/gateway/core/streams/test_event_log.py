"""Events of a stream: numbered, bounded, and given again from any of them on."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.streams.event_log import (
    OVERHEAD_BYTES,
    EventLog,
    read_event_id,
    replica_of,
    stream_id,
)
from gateway.errors import StreamGone

STREAM = stream_id("0" * 16, "a" * 32)
ID = re.compile(rb"^id: [0-9a-f-]+:\d+\n", re.M)
NO_LIMIT = 1 << 30

event = st.binary(max_size=30).map(
    lambda text: b"data: " + text.replace(b"\n", b"").replace(b"\r", b"") + b"\n\n"
)


def filled(*pieces: bytes) -> EventLog:
    log = EventLog(STREAM)
    for piece in pieces:
        log.append(piece)
    return log


def whole(log: EventLog, position: int = 0) -> bytes:
    return log.since(position, NO_LIMIT)[0]


def without_ids(data: bytes) -> bytes:
    return ID.sub(b"", data)


@given(events=st.lists(event, max_size=8), together=st.integers(1, 8))
def test_every_event_has_an_id_and_is_as_it_was(events: list[bytes], together: int) -> None:
    pieces = [b"".join(events[n : n + together]) for n in range(0, len(events), together)]
    out = whole(filled(*pieces))
    assert without_ids(out) == b"".join(events)
    assert len(ID.findall(out)) == len(events)


@given(events=st.lists(event, min_size=1, max_size=12), data=st.data())
def test_a_caller_that_comes_back_at_any_event_gets_the_rest_once(
    events: list[bytes], data: st.DataObject
) -> None:
    log = filled(*events)
    cut = data.draw(st.integers(0, log.last))
    heard, position = b"", 0
    while position < cut:
        piece, position = log.since(position, data.draw(st.integers(1, 200)))
        heard += piece
    assert heard + whole(log, position) == whole(log)


@given(
    events=st.lists(event, min_size=1, max_size=12),
    most=st.integers(0, 1000),
    sent=st.integers(0, 12),
)
def test_the_oldest_go_first_and_none_that_was_not_sent(
    events: list[bytes], most: int, sent: int
) -> None:
    log = filled(*events)
    before = {number: log.since(number - 1, 1)[0] for number in range(1, log.last + 1)}
    log.trim(most, sent)
    assert log.kept_bytes <= most or log.first > sent
    assert log.first <= sent + 1
    kept = range(log.first, log.last + 1)
    assert whole(log, log.first - 1) == b"".join(before[number] for number in kept)
    assert log.kept_bytes == sum(len(before[number]) + OVERHEAD_BYTES for number in kept)


def test_what_is_not_kept_is_told_and_never_left_out() -> None:
    log = filled(b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n")
    log.trim(0, 2)
    assert without_ids(whole(log, 2)) == b"data: 3\n\n"
    with pytest.raises(StreamGone) as told:
        log.since(1, NO_LIMIT)
    assert told.value.code == "stream_gone"


def test_a_comment_is_a_line_and_no_event() -> None:
    """A client that has seen an id takes a blank line after a comment for an event without data."""
    out = whole(filled(b": working\n\n", b"data: 1\n\n"))
    assert out == b": working\nid: %s:2\ndata: 1\n\n" % STREAM.encode()


def test_an_event_of_several_lines_gets_one_id() -> None:
    out = whole(filled(b"event: x\r\ndata: 1\r\n\r\ndata: 2\n\n"))
    name = STREAM.encode()
    assert out == b"id: %s:1\nevent: x\r\ndata: 1\r\n\r\nid: %s:2\ndata: 2\n\n" % (name, name)


def test_an_event_that_comes_in_pieces_gets_one_id() -> None:
    out = whole(filled(b"data: a", b"b", b"c\n\n\n", b"data: d\n\n"))
    assert without_ids(out) == b"data: abc\n\ndata: d\n\n"
    assert len(ID.findall(out)) == 2


def test_ids_are_read_as_they_are_written() -> None:
    written = whole(filled(b"data: 1\n\n")).split(b"\n")[0].removeprefix(b"id: ").decode()
    assert read_event_id(written) == (STREAM, 1)
    assert replica_of(STREAM) == "0" * 16


@pytest.mark.parametrize("foreign", ["", "7", "12:34", STREAM, STREAM + ":", STREAM + ":-1"])
def test_other_peoples_ids_are_no_ids(foreign: str) -> None:
    assert read_event_id(foreign) is None
