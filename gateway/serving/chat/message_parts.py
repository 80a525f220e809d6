"""What a chat answer holds beside its text: tool calls, reasoning, log-probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway.core.streams.chat_answer import ChatChoice

_TEXT = frozenset({"role", "content"})
_GIVEN_ONCE = frozenset({"id", "type", "name"})
"""Texts that a stream does not continue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageParts:
    """The parts of a message, or of a delta. `fields` are the message's own, as an engine gives
    them; `logprobs` is the choice's block, None where nobody asked for it."""

    fields: Mapping[str, Any]
    logprobs: Mapping[str, Any] | None = None

    def as_delta(self) -> dict[str, Any]:
        """The fields in a stream: there each tool call has its place."""
        calls = self.fields.get("tool_calls")
        if not calls:
            return dict(self.fields)
        placed = [{"index": place, **call} for place, call in enumerate(calls)]
        return {**self.fields, "tool_calls": placed}


def parts_of(choice: ChatChoice, *, logprobs: bool) -> MessageParts | None:
    """Of a choice's message or delta; `logprobs`: the caller asked for them. None where there is
    nothing beside the text."""
    said = choice.message.items()
    fields = {name: value for name, value in said if value and name not in _TEXT}
    block = choice.logprobs if logprobs else None
    return MessageParts(fields=fields, logprobs=block) if fields or block else None


def said(message: Mapping[str, Any]) -> str:
    """What a checked message says, in a form in which two can be compared: its calls, or its
    text."""
    if not (calls := message.get("tool_calls")):
        return str(message.get("content") or "")
    made = [_call(call.get("function") or {}) for call in calls]
    return orjson.dumps(made, option=orjson.OPT_SORT_KEYS).decode()


@dataclass(slots=True)
class JoinedParts:
    """The parts of a message, joined from those of its deltas."""

    _fields: dict[str, Any] = field(default_factory=dict)
    _calls: dict[int, dict[str, Any]] = field(default_factory=dict)
    _logprobs: list[Any] | None = None

    def add(self, parts: MessageParts) -> None:
        for name, value in parts.as_delta().items():
            if name == "tool_calls":
                for call in value:
                    _join(self._calls.setdefault(call.get("index", 0), {}), call)
            else:
                _join(self._fields, {name: value})
        if parts.logprobs is not None:
            self._logprobs = (self._logprobs or []) + list(parts.logprobs.get("content") or ())

    def clear(self) -> None:
        self._fields, self._calls, self._logprobs = {}, {}, None

    def message(self, text: str) -> dict[str, Any]:
        """The assistant's message with this text. One that only calls tools has none, as vLLM's."""
        content = text or (None if self._calls else "")
        message: dict[str, Any] = {"role": "assistant", "content": content}
        message |= self._fields
        if self._calls:
            message["tool_calls"] = [self._calls[place] for place in sorted(self._calls)]
        return message

    @property
    def logprobs(self) -> dict[str, Any] | None:
        return None if self._logprobs is None else {"content": self._logprobs}


def _join(joined: dict[str, Any], delta: Mapping[str, Any]) -> None:
    """Texts are continued but for those that tell what the whole is; the last of others counts."""
    for name, value in delta.items():
        before = joined.get(name)
        if isinstance(value, Mapping):
            inner = joined[name] = before if isinstance(before, dict) else {}
            _join(inner, value)
        elif isinstance(value, str) and isinstance(before, str) and name not in _GIVEN_ONCE:
            joined[name] = before + value
        elif value is not None and name != "index":
            joined[name] = value


def _call(function: Mapping[str, Any]) -> list[Any]:
    arguments = function.get("arguments")
    try:
        read = orjson.loads(arguments or "null")
        # It can be written again: what nests too deeply can't.
        orjson.dumps(read)
    except (orjson.JSONDecodeError, TypeError):
        return [function.get("name"), arguments]
    return [function.get("name"), read]
