"""The answer in OpenAI's shape: whole, or as a stream with comments on how it goes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from gateway.core.outcome import Outcome
from gateway.core.upstream_errors import client_stalled
from gateway.errors import GatewayError
from gateway.protocol.collective import MODEL
from gateway.serving.requests.relay import Sink


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """`block` is the reply's `tierflow` object; `usage` prompt and completion tokens."""

    text: str
    finish_reason: str
    usage: tuple[int, int]
    block: Mapping[str, Any]


class Reply(Protocol):
    """`say` tells how it goes, `text` is the answer's next text; both may come before `begin`, and
    are then kept. After `begin` errors can only end the answer, by `fail`."""

    began: bool

    async def begin(self) -> None: ...

    async def say(self, comment: str) -> None: ...

    async def text(self, piece: str) -> None: ...

    async def finish(self, conclusion: Conclusion) -> None: ...

    async def fail(self, error: GatewayError) -> None: ...


def completion(id: str, created: int, conclusion: Conclusion) -> bytes:
    """A `chat.completion`."""
    message = {"role": "assistant", "content": conclusion.text}
    choice = {"index": 0, "message": message, "finish_reason": conclusion.finish_reason}
    return orjson.dumps(
        {
            "id": id,
            "object": "chat.completion",
            "created": created,
            "model": MODEL,
            "choices": [choice],
            "usage": usage(conclusion.usage),
            "tierflow": conclusion.block,
        }
    )


def usage(tokens: tuple[int, int]) -> dict[str, int]:
    prompt, completion = tokens
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


class WholeReply:
    """Nothing is sent until there is everything, so that every error is still an error's status."""

    began = False

    def __init__(self, *, sink: Sink, outcome: Outcome, id: str, created: int) -> None:
        self._sink = sink
        self._outcome = outcome
        self._id = id
        self._created = created

    async def begin(self) -> None:
        pass

    async def say(self, comment: str) -> None:
        pass

    async def text(self, piece: str) -> None:
        pass

    async def finish(self, conclusion: Conclusion) -> None:
        data = completion(self._id, self._created, conclusion)
        self.began = True
        await self._sink.start(200, {"content-type": "application/json"}, self._outcome, len(data))
        await self._sink.send(data, more=False)

    async def fail(self, error: GatewayError) -> None:
        raise error


class StreamReply:
    """Chunks as OpenAI's clients read them; comments are lines that SSE clients pass over.

    `include_usage` adds a last chunk with the usage, as `stream_options` asks. Raises ClientStalled
    when the caller takes nothing for `idle_s` seconds.
    """

    def __init__(
        self,
        *,
        sink: Sink,
        outcome: Outcome,
        id: str,
        created: int,
        include_usage: bool,
        idle_s: float,
    ) -> None:
        self._idle_s = idle_s
        self.began = False
        self._sink = sink
        self._outcome = outcome
        self._head = {"id": id, "object": "chat.completion.chunk", "created": created}
        self._include_usage = include_usage
        self._kept: list[bytes] = []
        self._role_said = False

    async def begin(self) -> None:
        if self.began:
            return
        self.began = True
        headers = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
        await self._sink.start(200, headers, self._outcome, None)
        if self._kept:
            await self._sink.send(b"".join(self._kept), more=True)

    async def say(self, comment: str) -> None:
        await self._send(b": " + " ".join(comment.split()).encode() + b"\n\n")

    async def text(self, piece: str) -> None:
        delta = {"content": piece}
        if not self._role_said:
            self._role_said, delta = True, {"role": "assistant", "content": piece}
        await self._send(self._chunk([_choice(delta)]))

    async def finish(self, conclusion: Conclusion) -> None:
        await self.begin()
        last = self._chunk([_choice({}, conclusion.finish_reason)], tierflow=conclusion.block)
        if self._include_usage:
            last += self._chunk([], usage=usage(conclusion.usage))
        await self._sink.send(last + b"data: [DONE]\n\n", more=False)

    async def fail(self, error: GatewayError) -> None:
        if not self.began:
            raise error
        await self._sink.fail(error)

    async def _send(self, data: bytes) -> None:
        if self.began:
            try:
                async with asyncio.timeout(self._idle_s):
                    await self._sink.send(data, more=True)
            except TimeoutError:
                raise client_stalled() from None
        else:
            self._kept.append(data)

    def _chunk(self, choices: list[dict[str, Any]], **more: Any) -> bytes:
        body = {**self._head, "model": MODEL, "choices": choices, **more}
        return b"data: " + orjson.dumps(body) + b"\n\n"


def _choice(delta: Mapping[str, str], reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": reason}
