"""The one writer of a chat answer: as one body, or as a stream of chunks.

Its headers and chunks are those of vLLM's own stream, key by key, so that a client can't tell by
their shape who wrote them. Only `tierflow` in the last chunk or the body is ours, and comments,
which readers of server-sent events pass over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from gateway.core.outcome import Outcome
from gateway.core.ports import Clock
from gateway.core.upstream_errors import client_stalled
from gateway.errors import GatewayError
from gateway.serving.chat.message_parts import JoinedParts, MessageParts
from gateway.serving.chat.request import ChatRequest
from gateway.serving.requests.progress_timeout import ProgressTimeout
from gateway.serving.requests.relay import Sink

STREAM_HEADERS = {"content-type": "text/event-stream; charset=utf-8"}
BODY_HEADERS = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """How an answer ended. `usage`: prompt and completion tokens; `tierflow`: the reply's object of
    that name; `engine_body`: the body of the engine that gave the whole answer, if one did.
    `usage_details` are what an engine's own usage has beside the counts, where it alone made all
    that is counted."""

    finish_reason: str
    usage: tuple[int, int]
    tierflow: Mapping[str, Any]
    stop_reason: str | int | None = None
    engine_body: Mapping[str, Any] | None = None
    usage_details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, Any]:
        """The reply's `usage`."""
        return {**_usage(self.usage), **self.usage_details}


@dataclass(frozen=True, slots=True)
class RenderedPrompt:
    """A prompt as the engine read it, as far as it was asked to tell that."""

    token_ids: Sequence[int] | None = None
    text: str | None = None


class Reply(Protocol):
    """An answer on its way to the caller.

    `model` is the one whose text comes now, and `prompt` what it has read. `spent` tells the prompt
    and completion tokens so far, for a stream that counts in each chunk. `begun`: the caller has
    heard something, so that an error can only end the reply. `has_text`: some of the answer itself
    has gone out. `say` is a comment on how it goes. What comes before `begin` is kept until then.
    """

    model: str
    prompt: RenderedPrompt
    spent: Callable[[], tuple[int, int]]
    begun: bool
    has_text: bool

    async def begin(self) -> None: ...

    async def say(self, comment: str) -> None: ...

    async def text(
        self, piece: str, token_ids: Sequence[int] = (), parts: MessageParts | None = None
    ) -> None:
        """A further piece of the answer: text, and `parts` that come with it or alone."""
        ...

    def discard(self) -> None:
        """Forget the text that has not gone out."""
        ...

    async def finish(self, conclusion: Conclusion) -> None: ...

    async def fail(self, error: GatewayError) -> None:
        """End a reply that has begun; else raise the error."""
        ...


class CallerSink:
    """The caller of one request. It is given up when it reads nothing for `stalled_s` seconds:
    `send` then raises ClientStalled. `outcome` gets the status, and the times at which text goes
    out."""

    def __init__(self, *, sink: Sink, outcome: Outcome, clock: Clock, stalled_s: float) -> None:
        self._sink = sink
        self._outcome = outcome
        self._clock = clock
        self._stalled_s = stalled_s

    async def start(self, headers: Mapping[str, str], length: int | None = None) -> None:
        self._outcome.status = 200
        await self._sink.start(200, headers, self._outcome, length)

    async def send(self, data: bytes, *, more: bool) -> None:
        with ProgressTimeout(self._clock.now) as timeout:
            timeout.expect(self._stalled_s, client_stalled)
            await self._sink.send(data, more)

    async def fail(self, error: GatewayError) -> None:
        await self._sink.fail(error)

    def note_text(self) -> None:
        self._outcome.last_byte = self._clock.now()
        if self._outcome.first_byte is None:
            self._outcome.first_byte = self._outcome.last_byte


@dataclass(frozen=True, slots=True)
class ReplyHead:
    """What a body and each chunk begin with; `created` is in seconds since 1970."""

    id: str
    created: int


def reply_to(*, chat: ChatRequest, caller: CallerSink, head: ReplyHead, model: str) -> Reply:
    """A stream where the request asks for one, else a body."""
    kind = StreamReply if chat.inference.stream else WholeReply
    return kind(chat=chat, caller=caller, head=head, model=model)


class _BaseReply:
    """What both kinds of reply know. `_pieces` have not gone out."""

    def __init__(
        self, *, chat: ChatRequest, caller: CallerSink, head: ReplyHead, model: str
    ) -> None:
        self.model = model
        self.prompt = RenderedPrompt()
        self.spent: Callable[[], tuple[int, int]] = lambda: (0, 0)
        self.begun = self.has_text = False
        self._chat = chat
        self._caller = caller
        self._head = head
        self._pieces: list[bytes] = []
        self._parts = JoinedParts()
        self._token_ids: list[int] = []

    def _shown(self, token_ids: Sequence[int]) -> list[int] | None:
        """The token ids for a caller that asks for them; None where the engine tells none."""
        told = self._chat.body.return_token_ids and self._token_ids
        return list(token_ids) if told else None

    def _prompt(self) -> dict[str, Any]:
        """What the caller asks to be told of the prompt."""
        asked = self._chat.body.return_token_ids
        return {
            "prompt_token_ids": self.prompt.token_ids if asked else None,
            "prompt_text": self.prompt.text,
        }


class WholeReply(_BaseReply):
    """One JSON body at the end. Nothing goes out before, so every error still has its status."""

    async def begin(self) -> None:
        """A body begins when it is complete."""

    async def say(self, comment: str) -> None:
        """A body has no comments."""

    async def text(
        self, piece: str, token_ids: Sequence[int] = (), parts: MessageParts | None = None
    ) -> None:
        self._pieces.append(piece.encode())
        self._token_ids += token_ids
        if parts is not None:
            self._parts.add(parts)

    def discard(self) -> None:
        self._pieces.clear()
        self._parts.clear()
        self._token_ids.clear()

    async def finish(self, conclusion: Conclusion) -> None:
        data = completion(
            head=self._head,
            model=self.model,
            text=b"".join(self._pieces).decode(),
            parts=self._parts,
            token_ids=self._shown(self._token_ids),
            prompt=self._prompt(),
            conclusion=conclusion,
        )
        self.begun = self.has_text = True
        self._caller.note_text()
        await self._caller.start(BODY_HEADERS, len(data))
        await self._caller.send(data, more=False)

    async def fail(self, error: GatewayError) -> None:
        raise error


class StreamReply(_BaseReply):
    """Server-sent events: chunks, and comments between them."""

    async def begin(self) -> None:
        if self.begun:
            return
        self.begun = True
        await self._caller.start(STREAM_HEADERS)
        role = _choice({"role": "assistant", "content": ""})
        first = self._chunk([role], **self._counts_so_far(), **self._prompt())
        await self._caller.send(first + b"".join(self._pieces), more=True)

    async def say(self, comment: str) -> None:
        await self._send(b": " + " ".join(comment.split()).encode() + b"\n\n")

    async def text(
        self, piece: str, token_ids: Sequence[int] = (), parts: MessageParts | None = None
    ) -> None:
        if not (piece or token_ids or parts):
            return
        self.has_text = True
        self._caller.note_text()
        delta: dict[str, Any] = {"content": piece}
        if parts is not None and parts.fields:
            delta = parts.as_delta() | (delta if piece else {})
        self._token_ids += token_ids
        choice = _choice(delta, token_ids=self._shown(token_ids))
        if parts is not None:
            choice["logprobs"] = parts.logprobs
        await self._send(self._chunk([choice], **self._counts_so_far()))

    def discard(self) -> None:
        """Text of a stream has gone out, or is about to."""

    async def finish(self, conclusion: Conclusion) -> None:
        await self.begin()
        choice = _choice(
            {},
            finish_reason=conclusion.finish_reason,
            stop_reason=conclusion.stop_reason,
            token_ids=None,
        )
        end: dict[str, Any] = {"system_fingerprint": None}
        if self._chat.include_usage:
            counts = {"usage": conclusion.counts} if self._chat.continuous_usage else {}
            last = self._chunk([choice], **counts, tierflow=conclusion.tierflow)
            last += self._chunk([], usage=conclusion.counts, **end)
        else:
            last = self._chunk([choice], **end, tierflow=conclusion.tierflow)
        await self._caller.send(last + b"data: [DONE]\n\n", more=False)

    async def fail(self, error: GatewayError) -> None:
        if not self.begun:
            raise error
        await self._caller.fail(error)

    def _counts_so_far(self) -> dict[str, Any]:
        """For a caller that asks for the usage in each chunk."""
        return {"usage": _usage(self.spent())} if self._chat.continuous_usage else {}

    async def _send(self, data: bytes) -> None:
        if self.begun:
            await self._caller.send(data, more=True)
        else:
            self._pieces.append(data)

    def _chunk(self, choices: list[dict[str, Any]], **more: Any) -> bytes:
        chunk = {
            "id": self._head.id,
            "object": "chat.completion.chunk",
            "created": self._head.created,
            "model": self.model,
            "choices": choices,
            **more,
        }
        return b"data: " + orjson.dumps(chunk) + b"\n\n"


def completion(
    *,
    head: ReplyHead,
    model: str,
    text: str,
    conclusion: Conclusion,
    token_ids: Sequence[int] | None = None,
    parts: JoinedParts | None = None,
    prompt: Mapping[str, Any] | None = None,
) -> bytes:
    """A `chat.completion`: the engine's own body where there is one, else one around `text` and the
    message's other `parts`. `prompt` are the body's fields that tell it."""
    if conclusion.engine_body is not None:
        body = {**conclusion.engine_body, "id": head.id}
    else:
        parts = JoinedParts() if parts is None else parts
        choice = {
            "index": 0,
            "message": parts.message(text),
            "logprobs": parts.logprobs,
            "finish_reason": conclusion.finish_reason,
            "stop_reason": conclusion.stop_reason,
            "token_ids": token_ids,
        }
        body = {
            "id": head.id,
            "object": "chat.completion",
            "created": head.created,
            "model": model,
            "choices": [choice],
            **(prompt or {}),
        }
    return orjson.dumps({**body, "usage": conclusion.counts, "tierflow": conclusion.tierflow})


def _choice(
    delta: Mapping[str, Any], *, finish_reason: str | None = None, **more: Any
) -> dict[str, Any]:
    return {
        "index": 0,
        "delta": delta,
        "logprobs": None,
        "finish_reason": finish_reason,
        **more,
    }


def _usage(usage: tuple[int, int]) -> dict[str, int]:
    prompt, completion = usage
    return {
        "prompt_tokens": prompt,
        "total_tokens": prompt + completion,
        "completion_tokens": completion,
    }
