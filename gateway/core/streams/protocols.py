"""How the streams of each route end, well or with an error: the one table of it.

    route                  ends well with                            fails with
    chat, completions      a finish_reason of each text, [DONE]      data: {"error": …}
    responses              response.completed, response.incomplete   response.failed
    stored responses       any of these, as the response ended       response.failed
    messages               message_stop                              event: error
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
from gateway.protocol.errors.anthropic_errors import anthropic_error
from gateway.protocol.paths import (
    CANCEL_RESPONSE,
    CHAT,
    CHAT_BATCH,
    COMPLETIONS,
    MESSAGES,
    RESPONSES,
    STORED_RESPONSE,
)

# No sets: an engine may send something there that can't be in one.
_BROKEN_REASONS = ("abort", "error")
_BROKEN_STATUSES = ("failed", "cancelled")
_OPENINGS = frozenset({"response.created", "response.queued", "response.in_progress"})
_SEQUENCE_NUMBER = re.compile(rb'"sequence_number": ?(\d+)')


class StreamProtocol(Protocol):
    """The rules by which streams of one kind end.

    An ordinary event, one that neither ends such a stream nor says that it has failed, is known by
    its bytes: it begins with `head`, has `lines` line ends, the last two after a brace, and has in
    it one of `marks` (the one that the engine's JSON has), once. Whatever looks otherwise is read.

    `done_ends`: a [DONE] ends it well; `close_ends`: the end of the connection does.
    `gives_reasons`: each of its texts has a finish reason before that. `chunks`: all events are
    alike, and each carries about a token; else the ordinary ones alone. `numbered`: a failure is
    made of what has been sent before it. `aborts`: an answer in one piece has one of these in it
    where `check` raises.
    """

    head: bytes
    lines: int
    marks: Sequence[bytes]
    done_ends: bool
    close_ends: bool
    gives_reasons: bool
    chunks: bool
    numbered: bool
    aborts: Sequence[bytes]

    def ends(self, event: Mapping[str, Any]) -> bool:
        """Whether this event ends the stream well."""
        ...

    def opens(self, event: Mapping[str, Any]) -> bool:
        """Whether this event says nothing of the answer itself: it opens the answer, or is about
        it. Until there is another one, the whole request can be made anew elsewhere."""
        ...

    def texts(self, event: Mapping[str, Any]) -> Sequence[tuple[object, object]]:
        """The index of each text in this event, with its finish reason or None."""
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
    """The streams of chat and completions: chunks without a type, then [DONE]. The last chunk of
    each text has its finish reason; those with the token counts have no text."""

    head, lines = b"data: {", 2
    marks: Sequence[bytes] = (b'"finish_reason":null', b'"finish_reason": null')
    done_ends, close_ends, chunks, numbered = True, False, True, False
    gives_reasons = True
    aborts: Sequence[bytes] = (b'"abort"',)

    def ends(self, event: Mapping[str, Any]) -> bool:
        return False

    def opens(self, event: Mapping[str, Any]) -> bool:
        return not any(_says_something(choice) for choice in each_choice(event))

    def texts(self, event: Mapping[str, Any]) -> Sequence[tuple[object, object]]:
        return [
            (str(choice.get("index", 0)), choice.get("finish_reason"))
            for choice in each_choice(event)
        ]

    def check(self, event: Mapping[str, Any], endpoint: str) -> None:
        if event.get("object") == "error":
            raise error_event(endpoint)
        if any(choice.get("finish_reason") in _BROKEN_REASONS for choice in each_choice(event)):
            raise aborted(endpoint)

    def failure(self, body: bytes, first: bytes, last: bytes) -> bytes:
        return b"data: " + body + b"\n\n"


class OtherProtocol(ChunkProtocol):
    """The streams of routes whose protocol the gateway does not know: an error is read as in chat,
    and the end of the connection is their end."""

    marks: Sequence[bytes] = ()
    close_ends, gives_reasons = True, False

    def opens(self, event: Mapping[str, Any]) -> bool:
        return False

    def texts(self, event: Mapping[str, Any]) -> Sequence[tuple[object, object]]:
        return ((0, None),)


class TypedEventProtocol:
    """The streams of the Responses API: numbered events with a type, the last of which has the
    whole response."""

    head, lines = b"event: ", 3
    marks: Sequence[bytes] = (b'.delta"',)
    done_ends, close_ends, chunks, numbered = False, False, False, True
    gives_reasons = False
    aborts: Sequence[bytes] = (b'"failed"', b'"cancelled"')

    def ends(self, event: Mapping[str, Any]) -> bool:
        return event.get("type") in ("response.completed", "response.incomplete")

    def opens(self, event: Mapping[str, Any]) -> bool:
        kind = event.get("type")
        return not isinstance(kind, str) or kind in _OPENINGS or kind.endswith(".added")

    def texts(self, event: Mapping[str, Any]) -> Sequence[tuple[object, object]]:
        return ()

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


class StoredResponseProtocol(TypedEventProtocol):
    """The streams of a response that the engine has kept, from wherever the caller has them. That
    the response failed, or was cancelled, is what the caller asks to know."""

    aborts: Sequence[bytes] = ()

    def ends(self, event: Mapping[str, Any]) -> bool:
        kind = event.get("type")
        return super().ends(event) or kind in ("response.failed", "response.cancelled")

    def opens(self, event: Mapping[str, Any]) -> bool:
        return False

    def check(self, event: Mapping[str, Any], endpoint: str) -> None:
        if event.get("type") == "error":
            raise error_event(endpoint)


class MessageProtocol(ChunkProtocol):
    """The streams of Anthropic's Messages API: events with a type, which open and close blocks of
    the answer, then `message_stop`."""

    head, lines = b"event: ", 3
    marks: Sequence[bytes] = (b'"content_block_delta"',)
    done_ends, chunks, gives_reasons = False, False, False
    aborts: Sequence[bytes] = ()

    def ends(self, event: Mapping[str, Any]) -> bool:
        return event.get("type") == "message_stop"

    def opens(self, event: Mapping[str, Any]) -> bool:
        return event.get("type") in ("message_start", "content_block_start", "ping")

    def texts(self, event: Mapping[str, Any]) -> Sequence[tuple[object, object]]:
        return ()

    def check(self, event: Mapping[str, Any], endpoint: str) -> None:
        if event.get("type") == "error":
            raise error_event(endpoint)

    def failure(self, body: bytes, first: bytes, last: bytes) -> bytes:
        return b"event: error\ndata: " + anthropic_error(body) + b"\n\n"


def each_choice(event: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Those of an event that are objects, whatever else is there."""
    choices = event.get("choices")
    if not isinstance(choices, list):
        return []
    return [choice for choice in choices if isinstance(choice, dict)]


def _says_something(choice: Mapping[str, Any]) -> bool:
    """Whether it has a token, or ends its text: more than a role."""
    if any(choice.get(name) for name in ("finish_reason", "text", "token_ids")):
        return True
    delta = choice.get("delta")
    return isinstance(delta, dict) and any(v for name, v in delta.items() if name != "role")


def _response_begun(events: bytes) -> Mapping[str, Any]:
    """The response as the first event tells it: its id, model and options."""
    data = next(filter(None, map(payload, each_event(events))), b"{}")
    try:
        response = orjson.loads(data)["response"]
    except (orjson.JSONDecodeError, LookupError, TypeError):
        return {}
    return response if isinstance(response, dict) else {}


_CHUNKS, _UNKNOWN, _STORED = ChunkProtocol(), OtherProtocol(), StoredResponseProtocol()
_PROTOCOLS: Mapping[str, StreamProtocol] = {
    CHAT: _CHUNKS,
    COMPLETIONS: _CHUNKS,
    RESPONSES: TypedEventProtocol(),
    STORED_RESPONSE: _STORED,
    CANCEL_RESPONSE: _STORED,
    MESSAGES: MessageProtocol(),
}


_ANSWERING = frozenset({CHAT, CHAT_BATCH, COMPLETIONS, RESPONSES, MESSAGES})
_PROMPT_LISTS: Mapping[str, str] = {COMPLETIONS: "prompt", CHAT_BATCH: "messages"}
"""By route: the field that may have several prompts, each of which is answered."""


def stream_protocol(path: str) -> StreamProtocol:
    """The rules for the streams of the route `path`."""
    return _PROTOCOLS.get(path, _UNKNOWN)


def answer_count(path: str, fields: Mapping[str, Any]) -> int:
    """How many answers the engine makes for this body, also those that only the best of is told
    of; 0 for routes that answer nothing."""
    if path not in _ANSWERING:
        return 0
    prompts = fields.get(_PROMPT_LISTS[path]) if path in _PROMPT_LISTS else None
    texts = len(prompts) if isinstance(prompts, list) and not _is_tokens(prompts) else 1
    return max(texts, 1) * max(1, _count(fields.get("n")), _count(fields.get("best_of")))


def _is_tokens(prompt: Sequence[Any]) -> bool:
    return bool(prompt) and isinstance(prompt[0], int)


def _count(value: Any) -> int:
    """A number as engines read it, also from a text; 0 for what is none."""
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else 0
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return int(value) if whole else 0


def several_texts(path: str, fields: Mapping[str, Any]) -> bool:
    """Whether the answer to this body may have more than one text."""
    if fields.get("n") not in (None, 1):
        return True
    prompt = fields.get("prompt") if path == COMPLETIONS else None
    return isinstance(prompt, list) and len(prompt) > 1 and not isinstance(prompt[0], int)
