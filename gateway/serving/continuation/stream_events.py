"""How the events of a caller's stream look, and the writer of such events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.core.streams.continuation import AnswerHead
from gateway.core.streams.usage import UsageDetails, with_details
from gateway.protocol.paths import CHAT

_DONE = b"data: [DONE]\n\n"
_HEAD = frozenset({"id", "object", "created", "model", "choices"})
_NO_EVENT: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamShape:
    """How the events of the caller's stream look. `usage` comes at the end. `top_logprobs`: tokens
    beside each one sent, None without log probabilities."""

    path: str
    usage: bool
    top_logprobs: int | None
    stops: tuple[str, ...]
    include_stop: bool

    @classmethod
    def of(cls, path: str, fields: Mapping[str, Any]) -> StreamShape:
        options = fields.get("stream_options") or {}
        stop = fields.get("stop") or ()
        top: int | None = None
        if path == CHAT and fields.get("logprobs"):
            top = int(fields.get("top_logprobs") or 0)
        return cls(
            path=path,
            usage=options.get("include_usage") is True,
            top_logprobs=top,
            stops=(stop,) if isinstance(stop, str) else tuple(stop),
            include_stop=fields.get("include_stop_str_in_output") is True,
        )


@dataclass(slots=True, kw_only=True)
class ContinuedEvents:
    """The writer of a stream's further events. `tokens` counts those of the whole answer, `offset`
    the letters of the answer before the first engine's successor began. `usage_details` go into the
    usage at the end."""

    head: AnswerHead
    shape: StreamShape
    prompt_tokens: int
    tokens: int
    offset: int = 0
    usage_details: UsageDetails = dict

    def choice(
        self,
        text: str,
        *,
        ids: list[int],
        reason: str | None,
        stop_reason: str | int | None = None,
        logprobs: Mapping[str, Any] | None = None,
        event: Mapping[str, Any] = _NO_EVENT,
    ) -> bytes:
        """An event with text and its token ids; `logprobs` are a completion's, `event` is the
        engine's own around them. Raises KeyError, TypeError and ValueError where these are no
        such."""
        choice: dict[str, Any] = {"index": 0}
        if self.shape.path == CHAT:
            choice["delta"] = {"content": text} if text or reason is None else {}
            choice["logprobs"] = self._chat_logprobs(logprobs)
            choice["finish_reason"] = reason
            if reason is not None:
                choice["stop_reason"] = stop_reason
        else:
            choice["text"] = text
            choice["logprobs"] = self._moved(logprobs)
            choice["finish_reason"] = reason
            choice["stop_reason"] = stop_reason
            choice["prompt_token_ids"] = None
        choice["token_ids"] = ids
        return self._chunk([choice], event)

    def counts(self, event: Mapping[str, Any]) -> bytes:
        """The event with the whole answer's token counts, for the engine's own one."""
        return self._chunk([], event)

    def end(self, *, counted: bool) -> bytes:
        """The last events; `counted`: the caller has the token counts already."""
        missing = self.shape.usage and not counted
        return (self._chunk([], {"usage": {}}) if missing else b"") + _DONE

    def _chunk(self, choices: list[dict[str, Any]], event: Mapping[str, Any]) -> bytes:
        """`event` may have more than the keys that every event has, such as a fingerprint."""
        more = {name: value for name, value in event.items() if name not in _HEAD}
        chunk = {
            "id": self.head.id,
            "object": "chat.completion.chunk" if self.shape.path == CHAT else "text_completion",
            "created": self.head.created,
            "model": self.head.model,
            "choices": choices,
            **more,
        }
        if (usage := event.get("usage")) is not None:
            chunk["usage"] = {
                **(usage if isinstance(usage, Mapping) else {}),
                "prompt_tokens": self.prompt_tokens,
                "total_tokens": self.prompt_tokens + self.tokens,
                "completion_tokens": self.tokens,
            }
            if not choices and (details := self.usage_details()):
                chunk["usage"] = with_details(chunk["usage"], details)
        return b"data: " + orjson.dumps(chunk) + b"\n\n"

    def _moved(self, logprobs: Mapping[str, Any] | None) -> dict[str, Any] | None:
        if logprobs is None:
            return None
        offsets = [offset + self.offset for offset in logprobs["text_offset"]]
        return {**logprobs, "text_offset": offsets}

    def _chat_logprobs(self, logprobs: Mapping[str, Any] | None) -> dict[str, Any] | None:
        top = self.shape.top_logprobs
        if logprobs is None or top is None:
            return None
        tokens = zip(
            logprobs["tokens"], logprobs["token_logprobs"], logprobs["top_logprobs"], strict=True
        )
        content = [
            {**_entry(token, logprob), "top_logprobs": _top(others or {}, top)}
            for token, logprob, others in tokens
        ]
        return {"content": content}


def _entry(token: str, logprob: float) -> dict[str, Any]:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode("utf-8", "replace"))}


def _top(others: Mapping[str, float], count: int) -> list[dict[str, Any]]:
    return [
        _entry(token, logprob)
        for index, (token, logprob) in enumerate(others.items())
        if count == -1 or index < count
    ]
