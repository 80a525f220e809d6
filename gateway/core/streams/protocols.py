"""How the streams of each route end, well or with an error: the one table of it.

    route                  ends well with                            fails with
    chat, completions      data: [DONE]                              data: {"error": …}
    responses              response.completed, response.incomplete   response.failed
    any other              the end of the connection                 data: {"error": …}

A stream that fails has no [DONE]: the answer is not complete.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import orjson

from gateway.core.streams.sse import each_event, payload
from gateway.core.upstream_errors import aborted, error_event
from gateway.protocol.paths import CHAT, COMPLETIONS, RESPONSES

_BROKEN_REASONS = frozenset({"abort", "error"})
_BROKEN_STATUSES = frozenset({"failed", "cancelled"})
_SEQUENCE_NUMBER = re.compile(rb'"sequence_number": ?(\d+)')


class StreamProtocol(Protocol):
    """The rules by which streams of one kind end.

    An ordinary event, one that neither ends such a stream nor says that it has failed, is known by
    its bytes: it begins with `head`, has `lines` line ends, the last two after a brace, and has in
    it one of `marks` (the one that the engine's JSON has), once. Whatever looks otherwise is read.

    `done_ends`: a [DONE] ends it well; `close_ends`: the end of the connection does. `chunks`:
    all events are alike, and each carries about a token; else the ordinary ones alone. `numbered`:
    a failure is made of what has been sent before it. `aborts`: an answer in one piece has one of
    these in it where `check` raises.
    """

    head: bytes
    lines: int
    marks: Sequence[bytes]
    done_ends: bool
    close_ends: bool
    chunks: bool
    numbered: bool
    aborts: Sequence[bytes]

    def ends(self, event: Mapping[str, Any]) -> bool:
        """Whether this event ends the stream well."""
        ...

    def check(self, event: Mapping[str, Any], endpoint: str) -> None:
        """Raises EngineFailed for an event, or an answer in one piece, by which the engine says
        that the answer failed."""
        ...

    def failure(self, body: bytes, first: bytes, last: bytes) -> bytes:
        """The event that ends a stream with an error. `body` is the error as a JSON body has it,
        `first` and `last` are the first and the last events that have been sent."""
        ...


class ChunkProtocol:
    """The streams of chat and completions: chunks without a type, then [DONE]."""

    head, lines = b"data: {", 2
    marks: Sequence[bytes] = (b'"finish_reason":null', b'"finish_reason": null')
    done_ends, close_ends, chunks, numbered = True, False, True, False
    aborts: Sequence[bytes] = (b'"abort"',)

    def ends(self, event: Mapping[str, Any]) -> bool:
        return False

    def check(self, event: Mapping[str, Any], endpoint: str) -> None:
        if event.get("object") == "error":
            raise error_event(endpoint)
        choices = event.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict) and choice.get("finish_reason") in _BROKEN_REASONS:
                raise aborted(endpoint)

    def failure(self, body: bytes, first: bytes, last: bytes) -> bytes:
        return b"data: " + body + b"\n\n"


class OtherProtocol(ChunkProtocol):
    """The streams of routes whose protocol the gateway does not know: an error is read as in chat,
    and the end of the connection is their end."""

    marks: Sequence[bytes] = ()
    close_ends = True


class TypedEventProtocol:
    """The streams of the Responses API: numbered events with a type, the last of which has the
    whole response."""

    head, lines = b"event: ", 3
    marks: Sequence[bytes] = (b'.delta"',)
    done_ends, close_ends, chunks, numbered = False, False, False, True
    aborts: Sequence[bytes] = (b'"failed"', b'"cancelled"')

    def ends(self, event: Mapping[str, Any]) -> bool:
        return event.get("type") in ("response.completed", "response.incomplete")

    def check(self, event: Mapping[str, Any], endpoint: str) -> None:
        if event.get("type") in ("error", "response.failed"):
            raise error_event(endpoint)
        response = event if event.get("object") == "response" else event.get("response")
        if isinstance(response, dict) and response.get("status") in _BROKEN_STATUSES:
            raise aborted(endpoint)

    def failure(self, body: bytes, first: bytes, last: bytes) -> bytes:
        error = orjson.loads(body)["error"]
        numbers = [int(number) for number in _SEQUENCE_NUMBER.findall(last)]
        event = {
            "type": "response.failed",
            "sequence_number": max(numbers, default=-1) + 1,
            "response": {
                "object": "response",
                "output": [],
                **_response_begun(first),
                "status": "failed",
                "error": {"code": error["code"], "message": error["message"]},
            },
        }
        return b"event: response.failed\ndata: " + orjson.dumps(event) + b"\n\n"


def _response_begun(events: bytes) -> Mapping[str, Any]:
    """The response as the first event tells it: its id, model and options."""
    data = next(filter(None, map(payload, each_event(events))), b"{}")
    try:
        response = orjson.loads(data)["response"]
    except (orjson.JSONDecodeError, LookupError, TypeError):
        return {}
    return response if isinstance(response, dict) else {}


_CHUNKS, _UNKNOWN = ChunkProtocol(), OtherProtocol()
_PROTOCOLS: Mapping[str, StreamProtocol] = {
    CHAT: _CHUNKS,
    COMPLETIONS: _CHUNKS,
    RESPONSES: TypedEventProtocol(),
}


def stream_protocol(path: str) -> StreamProtocol:
    """The rules for the streams of the route `path`."""
    return _PROTOCOLS.get(path, _UNKNOWN)
