"""What a caller asks of the cascade, read from its body; every complaint names its field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.core.types import InferenceRequest
from gateway.protocol.cascade import CascadeOptions
from gateway.protocol.virtual_models import CASCADE
from gateway.serving.chat import request as chat_request
from gateway.serving.chat.request import ChatRequest

NAME = CASCADE

SAMPLING = frozenset(
    {
        "temperature", "top_p", "top_k", "min_p", "seed", "stop", "max_tokens",
        "max_completion_tokens", "presence_penalty", "frequency_penalty", "repetition_penalty",
        "min_tokens", "ignore_eos", "logit_bias", "bad_words", "allowed_token_ids",
        "stop_token_ids", "include_stop_str_in_output", "skip_special_tokens",
        "spaces_between_special_tokens", "response_format", "structured_outputs",
    }
)  # fmt: skip
"""Fields that mean the same where an answer is made out of token ids."""

OF_THE_WHOLE = frozenset(
    {
        "response_format", "structured_outputs", "min_tokens", "presence_penalty",
        "frequency_penalty", "repetition_penalty",
    }
)  # fmt: skip
"""Fields that look at the answer from its beginning: no other model can go on in its middle."""

_OURS = frozenset(
    {
        "model", "messages", "stream", "stream_options", "tierflow", "return_token_ids",
        "logprobs", "top_logprobs", "n", "user", "tools", "tool_choice", "parallel_tool_calls",
    }
)  # fmt: skip
_PLAIN = "leave it out, or name a served model"
_UNSUPPORTED = {
    "tools": "a call of a tool has no confidence that could be judged",
    "functions": _PLAIN,
    "function_call": _PLAIN,
    "audio": _PLAIN,
    "prompt_logprobs": _PLAIN,
    "best_of": _PLAIN,
    "use_beam_search": _PLAIN,
    "echo": _PLAIN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CascadeRequest:
    """`body` holds the caller's fields for an engine, without those that are ours.

    `most` is the caller's own bound on the answer's tokens. `portable`: the answer can be made out
    of token ids too. `divisible`: another model may go on in the middle of it.
    """

    chat: ChatRequest
    request: InferenceRequest
    options: CascadeOptions
    messages: Sequence[Mapping[str, Any]]
    body: Mapping[str, Any]
    most: int | None
    stops: tuple[str, ...]
    include_stop: bool
    include_usage: bool
    token_ids: bool
    logprobs: bool
    top_logprobs: int | None
    portable: bool
    divisible: bool

    @property
    def question(self) -> str:
        """The last user message's text."""
        for message in reversed(self.messages):
            if message.get("role") == "user" and isinstance(message.get("content"), str):
                return str(message["content"])
        return ""

    def fields(self, *, stops: bool = True) -> dict[str, Any]:
        """For a chat completion; without its bound on tokens."""
        left = {"max_tokens", "max_completion_tokens"} | (set() if stops else {"stop"})
        kept = {name: value for name, value in self.body.items() if name not in left}
        return {**kept, "messages": list(self.messages)}

    def sampling(self, *, stops: bool = True) -> dict[str, Any]:
        """For an answer out of token ids; without its bound on tokens."""
        fields = self.fields(stops=stops)
        return {name: value for name, value in fields.items() if name in SAMPLING}

    def own_body(self, body: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """An engine's body without what only the cascade asked the engine for."""
        if body is None:
            return None
        choice = dict(body["choices"][0])
        own = {**body, "choices": [choice]}
        if not self.logprobs:
            choice["logprobs"] = None
        if not self.token_ids:
            choice["token_ids"] = own["prompt_token_ids"] = None
        return own


def read(request: InferenceRequest) -> CascadeRequest:
    """Raises InvalidRequest."""
    chat = chat_request.read(request, NAME)
    chat_request.refuse(chat, NAME, _UNSUPPORTED)
    if chat.body.logprobs and chat.body.stream:
        raise chat_request.unsupported("logprobs", NAME, "a stream has none; ask without `stream`")
    if chat.options.collective is not None:
        raise chat_request.unsupported("tierflow.collective", NAME, "it takes `tierflow.cascade`")
    body = {name: value for name, value in chat.fields.items() if name not in _OURS}
    plain_text = all(isinstance(message.content, str) for message in chat.body.messages)
    portable = plain_text and body.keys() <= SAMPLING and not chat.body.logprobs
    return CascadeRequest(
        chat=chat,
        request=request,
        options=chat.options.cascade or CascadeOptions(),
        messages=chat.messages,
        body=body,
        most=chat.max_tokens,
        stops=chat.stops,
        include_stop=chat.body.include_stop_str_in_output,
        include_usage=chat.include_usage,
        token_ids=chat.body.return_token_ids is True,
        logprobs=chat.body.logprobs is True,
        top_logprobs=chat.body.top_logprobs,
        portable=portable,
        divisible=portable and not any(body.get(name) for name in OF_THE_WHOLE),
    )
