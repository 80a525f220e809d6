"""The answer on its way to the caller: one body, or a stream of chunks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from gateway.core.outcome import Outcome
from gateway.serving.cascade.answers import LowerAnswer
from gateway.serving.cascade.options import CascadeRequest
from gateway.serving.requests.relay import Sink


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How an answer ended. `usage` is (prompt tokens, completion tokens) over all tiers; `about`
    the reply's `tierflow.cascade`."""

    reason: str
    stop: str | int | None
    usage: tuple[int, int]
    about: Mapping[str, Any]
    model: str
    draft: LowerAnswer | None = None


class CascadeReply(Protocol):
    """`put` text as it is decided. `started`: the caller has heard something, `begun`: of the
    answer itself, which can't be taken back any more."""

    started: bool
    begun: bool

    async def put(self, text: str, ids: Sequence[int], model: str) -> None: ...

    async def escalated(self, reason: str, model: str) -> None: ...

    def discard(self) -> None: ...

    async def end(self, end: End) -> None: ...


@dataclass(slots=True, kw_only=True)
class CascadeWholeReply:
    """One JSON body at the end. An accepted draft's is its engine's own, but for what is ours."""

    asked: CascadeRequest
    sink: Sink
    outcome: Outcome
    created: int
    started: bool = False
    begun: bool = False
    _text: list[str] = field(default_factory=list)
    _ids: list[int] = field(default_factory=list)

    async def put(self, text: str, ids: Sequence[int], model: str) -> None:
        self._text.append(text)
        self._ids += ids

    async def escalated(self, reason: str, model: str) -> None:
        """Only told in the body."""

    def discard(self) -> None:
        self._text.clear()
        self._ids.clear()

    async def end(self, end: End) -> None:
        body = dict(self._ordinary(end) if end.draft is None else self._drafted(end.draft, end))
        body["usage"] = _usage(end.usage)
        body["tierflow"] = {"cascade": end.about}
        data = orjson.dumps(body)
        headers = {"content-type": "application/json"}
        self.started = self.begun = True
        await self.sink.start(200, headers, self.outcome, len(data))
        await self.sink.send(data, more=False)

    def _ordinary(self, end: End) -> Mapping[str, Any]:
        choice: dict[str, Any] = {
            "index": 0,
            "message": {"role": "assistant", "content": "".join(self._text)},
            "logprobs": None,
            "finish_reason": end.reason,
            "stop_reason": end.stop,
        }
        if self.asked.token_ids:
            choice["token_ids"] = self._ids
        return {
            "id": f"chatcmpl-{self.asked.request.id}",
            "object": "chat.completion",
            "created": self.created,
            "model": end.model,
            "choices": [choice],
        }

    def _drafted(self, draft: LowerAnswer, end: End) -> Mapping[str, Any]:
        if draft.body is None:
            return self._ordinary(end)
        choice = dict(draft.body["choices"][0])
        id = f"chatcmpl-{self.asked.request.id}"
        body = {**draft.body, "id": id, "choices": [choice]}
        if not self.asked.logprobs:
            choice["logprobs"] = None
        if not self.asked.token_ids:
            choice.pop("token_ids", None)
            body.pop("prompt_token_ids", None)
        return body


@dataclass(slots=True, kw_only=True)
class CascadeStreamReply:
    """Server-sent events; begins with the first piece of the answer."""

    asked: CascadeRequest
    sink: Sink
    outcome: Outcome
    created: int
    started: bool = False
    begun: bool = False

    async def put(self, text: str, ids: Sequence[int], model: str) -> None:
        if not (text or ids):
            return
        await self._open(model)
        self.begun = True
        await self._chunk(model, {"content": text}, None, ids)

    async def escalated(self, reason: str, model: str) -> None:
        await self._open(model)
        await self.sink.send(f": escalated {reason} {model}\n\n".encode(), more=True)

    def discard(self) -> None:
        """Nothing is kept here."""

    async def end(self, end: End) -> None:
        await self._open(end.model)
        choice = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": end.reason}
        choice["stop_reason"] = end.stop
        last = {**self._frame(end.model), "choices": [choice], "tierflow": {"cascade": end.about}}
        data = b"data: " + orjson.dumps(last) + b"\n\n"
        if self.asked.include_usage:
            usage = {**self._frame(end.model), "choices": [], "usage": _usage(end.usage)}
            data += b"data: " + orjson.dumps(usage) + b"\n\n"
        await self.sink.send(data + b"data: [DONE]\n\n", more=False)

    async def _open(self, model: str) -> None:
        if self.started:
            return
        self.started = True
        await self.sink.start(200, {"content-type": "text/event-stream"}, self.outcome, None)
        await self._chunk(model, {"role": "assistant", "content": ""}, None, ())

    async def _chunk(
        self, model: str, delta: Mapping[str, Any], reason: str | None, ids: Sequence[int]
    ) -> None:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        if self.asked.token_ids and ids:
            choice["token_ids"] = list(ids)
        chunk = {**self._frame(model), "choices": [choice]}
        await self.sink.send(b"data: " + orjson.dumps(chunk) + b"\n\n", more=True)

    def _frame(self, model: str) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{self.asked.request.id}",
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": model,
        }


def _usage(usage: tuple[int, int]) -> dict[str, int]:
    prompt, completion = usage
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
