"""Server-sent events: where they end, and what they carry."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from gateway.core.upstream_errors import endless_event, error_event, unreadable

MAX_EVENT_BYTES = 8 * 1024 * 1024
"""An event that grows beyond this is broken."""
DONE = b"[DONE]"
"""The payload of the event that ends a stream of chat or completions."""

_BLANK_LINE = re.compile(rb"\n\r?\n")
_DONE_LINE = re.compile(rb"data: ?\[DONE\][ \t\r\n]*")
_LONGEST_DONE = 32
_EVENT_STREAM = "text/event-stream"


def is_event_stream(headers: Mapping[str, str]) -> bool:
    """Whether an answer with these headers is a stream of events."""
    return headers.get("content-type", "").lstrip()[: len(_EVENT_STREAM)].lower() == _EVENT_STREAM


class EventBuffer:
    """A buffer that cuts a byte stream at event ends. What comes out, in order, is exactly what
    went in."""

    __slots__ = ("_endpoint", "_tail")

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._tail = bytearray()

    def feed(self, chunk: bytes) -> bytes:
        """Give the whole events that are complete now, b"" if there are none. A [DONE] is whole
        without its blank line: nothing can follow it. Raises EngineFailed for an endless event."""
        tail = self._tail
        if not tail and chunk.endswith((b"\n\n", b"\r\n\r\n")):
            return chunk
        before = len(tail)
        tail += chunk
        end = _last_event_end(tail, max(0, before - 3))
        if len(tail) - end > MAX_EVENT_BYTES:
            raise endless_event(self._endpoint)
        if len(tail) - end < _LONGEST_DONE and _DONE_LINE.fullmatch(tail, end):
            end = len(tail)
        events = bytes(tail[:end])
        del tail[:end]
        return events

    def rest(self) -> bytes:
        """What the stream left without a final blank line."""
        rest = bytes(self._tail)
        self._tail.clear()
        return rest


def _last_event_end(data: bytearray, begin: int) -> int:
    """The end of the last event in `data`, 0 if none ends after `begin`."""
    unix, windows = data.rfind(b"\n\n", begin), data.rfind(b"\n\r\n", begin)
    return max(unix + 2 if unix >= 0 else 0, windows + 3 if windows >= 0 else 0)


def each_event(events: bytes) -> Iterator[bytes]:
    """The events one by one, each with the blank line that ends it."""
    begin = 0
    for blank in _BLANK_LINE.finditer(events):
        yield events[begin : blank.end()]
        begin = blank.end()
    if begin < len(events):
        yield events[begin:]


def payload(event: bytes) -> bytes | None:
    """The data of one event; None where it has none, such as a comment."""
    lines = [line[5:].strip() for line in event.splitlines() if line.startswith(b"data:")]
    return b"\n".join(lines) or None


def objects(events: bytes, endpoint: str) -> Iterator[dict[str, Any]]:
    """What whole events say, up to a [DONE]. Raises as `answer_object` does."""
    for event in each_event(events):
        data = payload(event)
        if data == DONE:
            return
        if data is not None:
            yield answer_object(data, endpoint)


def answer_object(data: bytes, endpoint: str) -> dict[str, Any]:
    """An engine's whole answer or one event of it, parsed. Raises EngineFailed if it is no JSON
    object, or an error."""
    try:
        answer = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise unreadable(endpoint) from error
    if not isinstance(answer, dict):
        raise unreadable(endpoint)
    if answer.get("error") is not None:
        raise error_event(endpoint)
    return answer
