"""Server-sent events: where they end, what they say, and how many tokens went by.

The gateway relays an engine's stream as it is (`EventBuffer`). It only holds back the tail of an
event that is still incomplete, so that a broken stream can be ended with one clean error event.
Where the gateway needs what an engine says, it reads the events (`EventReader`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.core.upstream_errors import ended_early, engine_failed, error_event, unreadable

MAX_EVENT_BYTES = 8 * 1024 * 1024
"""An event that grows beyond this is given out as it is: its reader will find it broken."""
_USAGE = re.compile(rb'"usage": ?\{')
_PROMPT = re.compile(rb'"(?:prompt|input)_tokens": ?(\d+)')
_COMPLETION = re.compile(rb'"(?:completion|output)_tokens": ?(\d+)')
_CONTENT_FREE = re.compile(rb'"role": ?"assistant", ?"content": ?""')


@dataclass(slots=True)
class EventBuffer:
    """A buffer that cuts a byte stream at event ends. What comes out, in order, is exactly what
    went in."""

    _tail: bytes = b""

    def feed(self, chunk: bytes) -> bytes:
        """Give the whole events that are complete now, b"" if there are none."""
        if not self._tail and (chunk.endswith(b"\n\n") or chunk.endswith(b"\r\n\r\n")):
            return chunk
        data = self._tail + chunk
        end = _last_event_end(data)
        if end == 0 and len(data) > MAX_EVENT_BYTES:
            end = len(data)
        self._tail = data[end:]
        return data[:end]

    def rest(self) -> bytes:
        """What a stream that ended properly left without a final blank line."""
        tail, self._tail = self._tail, b""
        return tail


class EventReader:
    """A reader of an engine's stream of JSON events, up to its [DONE]; `done`: that has come.

    An engine writes an event's data on one line. Comments are passed over, and so is whatever
    comes after [DONE].
    """

    def __init__(self, endpoint: str) -> None:
        self.done = False
        self._endpoint = endpoint
        self._buffer = EventBuffer()

    def feed(self, chunk: bytes) -> Iterator[dict[str, Any]]:
        """The events that are complete now. Raises EngineFailed for one that is no JSON object,
        an error, or endless."""
        events = self._buffer.feed(chunk)
        if len(events) > MAX_EVENT_BYTES and not events.endswith(b"\n"):
            raise engine_failed(self._endpoint, "sent an endless event")
        for line in events.splitlines():
            if line.startswith(b"data:") and not self.done:
                data = line[5:].strip()
                if data == b"[DONE]":
                    self.done = True
                else:
                    yield answer_object(data, self._endpoint)

    def finish(self) -> None:
        """The connection has closed. Raises EngineFailed if that was before [DONE]."""
        if not self.done:
            raise ended_early(self._endpoint)


def answer_object(data: bytes, endpoint: str) -> dict[str, Any]:
    """An engine's whole answer or one event of it, parsed. Raises EngineFailed if it is no JSON
    object, or an error."""
    try:
        answer = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise unreadable(endpoint) from error
    if not isinstance(answer, dict):
        raise unreadable(endpoint)
    if "error" in answer:
        raise error_event(endpoint)
    return answer


def _last_event_end(data: bytes) -> int:
    unix = data.rfind(b"\n\n")
    windows = data.rfind(b"\r\n\r\n")
    return max(unix + 2 if unix >= 0 else 0, windows + 4 if windows >= 0 else 0)


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts that the engine reported itself."""

    prompt_tokens: int
    completion_tokens: int


def count_tokens(events: bytes) -> int:
    """About how many tokens these events carry: one per data event, the opening one aside.

    Exact for an engine that sends an event per token; speculation puts several in one, and then
    the engine's own usage figures, where the client asked for them, replace the count.
    """
    # Plain counting: a regular expression here would cost a sixth of a stream.
    chunks = events.count(b"\ndata:") + events.startswith(b"data:")
    chunks -= events.count(b"data: [DONE]\n") + events.count(b"data:[DONE]\n")
    if chunks and b'"role"' in events and _CONTENT_FREE.search(events):
        chunks -= 1
    return max(0, chunks)


def find_usage(data: bytes) -> Usage | None:
    """The last usage object in an answer or a stream's tail, None when there is none."""
    start = -1
    for match in _USAGE.finditer(data):
        start = match.end()
    if start < 0:
        return None
    part = data[start : start + 2048]
    prompt, completion = _PROMPT.search(part), _COMPLETION.search(part)
    if prompt is None:
        return None
    return Usage(int(prompt[1]), int(completion[1]) if completion else 0)
