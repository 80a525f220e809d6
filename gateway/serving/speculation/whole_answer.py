"""A whole answer of chat or completions, folded out of the events of its stream.

The keys are those of vLLM's own whole answers, so that a caller can't tell how it was made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from gateway.core.streams.chat_answer import read_choices
from gateway.core.streams.usage import with_details
from gateway.protocol.paths import CHAT
from gateway.serving.chat.message_parts import JoinedParts, parts_of

_HEAD = ("id", "created", "model")
_OF_THE_MESSAGE = {
    "refusal": None,
    "annotations": None,
    "audio": None,
    "function_call": None,
    "reasoning": None,
}
_OF_A_CHAT = {
    "service_tier": None,
    "system_fingerprint": None,
    "usage": None,
    "prompt_logprobs": None,
    "prompt_token_ids": None,
    "prompt_text": None,
    "kv_transfer_params": None,
    "ec_transfer_params": None,
    "metrics": None,
}
_OF_A_COMPLETION = {name: _OF_A_CHAT[name] for name in _OF_A_CHAT if not name.startswith("prompt_")}
_USAGE = {
    "prompt_tokens": 0,
    "total_tokens": 0,
    "completion_tokens": 0,
    "prompt_tokens_details": None,
    "completion_tokens_details": None,
}


class WholeAnswer:
    """The whole answer that the events of a stream make up: `add` them in order, then `body` is it.

    It has one choice. `shows_ids`: with the token ids, which the caller asked for.
    """

    def __init__(self, path: str, endpoint: str, *, shows_ids: bool) -> None:
        self._chat = path == CHAT
        self._endpoint = endpoint
        self._shows_ids = shows_ids
        self._about: dict[str, Any] = dict(_OF_A_CHAT if self._chat else _OF_A_COMPLETION)
        self._texts: list[str] = []
        self._parts = JoinedParts()
        self._ids: list[int] = []
        self._prompt_ids: Any = None
        self._ends: dict[str, Any] = {"finish_reason": "stop", "stop_reason": None}
        self._logprobs: dict[str, list[Any]] | None = None

    def add(self, event: Mapping[str, Any]) -> None:
        """Raises EngineFailed for a choice that is none."""
        for name, value in event.items():
            if value is not None and (name in self._about or name in _HEAD):
                self._about[name] = value
        for choice in event.get("choices") or ():
            if isinstance(choice, Mapping):
                self._add_choice(choice)
        if self._chat:
            for read in read_choices(event, self._endpoint, whole=False):
                self._texts.append(read.text)
                if (parts := parts_of(read, logprobs=True)) is not None:
                    self._parts.add(parts)

    def _add_choice(self, choice: Mapping[str, Any]) -> None:
        for name in self._ends:
            if choice.get(name) is not None:
                self._ends[name] = choice[name]
        self._ids += choice.get("token_ids") or ()
        self._prompt_ids = choice.get("prompt_token_ids") or self._prompt_ids
        if not self._chat:
            self._texts.append(choice.get("text") or "")
            if (block := choice.get("logprobs")) is not None:
                self._logprobs = self._logprobs or {}
                for name, values in block.items():
                    self._logprobs.setdefault(name, []).extend(values)

    def body(self, usage_details: Mapping[str, int] | None = None) -> bytes:
        """`usage_details` go into the usage's `completion_tokens_details`."""
        about = dict(self._about)
        usage = {**_USAGE, **(about["usage"] or {})}
        about["usage"] = with_details(usage, usage_details) if usage_details else usage
        if self._chat and not self._shows_ids:
            about["prompt_token_ids"] = None
        head = {name: about.pop(name, None) for name in _HEAD}
        kind = "chat.completion" if self._chat else "text_completion"
        return orjson.dumps(
            {
                "id": head["id"],
                "object": kind,
                "created": head["created"],
                "model": head["model"],
                "choices": [self._choice()],
                **about,
            }
        )

    def _choice(self) -> dict[str, Any]:
        text, ids = "".join(self._texts), self._ids if self._shows_ids else None
        if self._chat:
            message = self._parts.message(text)
            about = {"logprobs": self._parts.logprobs, **self._ends, "token_ids": ids}
            said: dict[str, Any] = {"message": {**_OF_THE_MESSAGE, **message}, **about}
        else:
            prompt = {"prompt_logprobs": None, "prompt_token_ids": None}
            if self._shows_ids:
                prompt["prompt_token_ids"] = self._prompt_ids
            said = {"text": text, "logprobs": self._logprobs, **self._ends}
            said |= {"token_ids": ids, **prompt}
        return {"index": 0, **said, "routed_experts": None}
