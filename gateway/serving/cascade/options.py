"""What a caller asks of the cascade, read from its body; every complaint names its field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import orjson

from gateway.core.types import InferenceRequest
from gateway.errors import InvalidRequest
from gateway.protocol.cascade import CascadeOptions, read_options

CHAT = "/v1/chat/completions"
NAME = "tierflow-cascade"

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
_REFUSED = (
    "functions", "function_call", "audio", "prompt_logprobs", "best_of", "use_beam_search", "echo",
)  # fmt: skip
MAX_STOPS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class CascadeRequest:
    """`body` holds the caller's fields for an engine, without those that are ours.

    `most` is the caller's own bound on the answer's tokens. `portable`: the answer can be made out
    of token ids too. `divisible`: another model may go on in the middle of it.
    """

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


def read(request: InferenceRequest) -> CascadeRequest:
    """Raises InvalidRequest."""
    if request.path != CHAT:
        raise InvalidRequest(
            f"{NAME} answers {CHAT} only; name another model for {request.path}",
            param="model",
            code="invalid_route",
        )
    fields = orjson.loads(request.body)
    options = _options(fields.get("tierflow"))
    messages = fields.get("messages")
    if not isinstance(messages, list) or not messages or not _all_maps(messages):
        raise InvalidRequest("messages: a list of messages, one at least", param="messages")
    _refuse(fields)
    stops = _stops(fields.get("stop"))
    body = {name: value for name, value in fields.items() if name not in _OURS}
    plain_text = all(isinstance(message.get("content"), str) for message in messages)
    portable = plain_text and body.keys() <= SAMPLING and not fields.get("logprobs")
    return CascadeRequest(
        request=request,
        options=options,
        messages=messages,
        body=body,
        most=request.max_tokens,
        stops=stops,
        include_stop=fields.get("include_stop_str_in_output") is True,
        include_usage=_wants_usage(fields.get("stream_options")),
        token_ids=fields.get("return_token_ids") is True,
        logprobs=fields.get("logprobs") is True,
        top_logprobs=fields.get("top_logprobs"),
        portable=portable,
        divisible=portable and not any(body.get(name) for name in OF_THE_WHOLE),
    )


def _options(given: Any) -> CascadeOptions:
    if given is None:
        return CascadeOptions()
    if not isinstance(given, dict):
        raise InvalidRequest('tierflow: an object, such as {"cascade": {}}', param="tierflow")
    for name in given:
        if name != "cascade":
            raise InvalidRequest(
                f"tierflow.{name[:64]}: unknown; {NAME} takes tierflow.cascade",
                param=f"tierflow.{name[:64]}",
            )
    try:
        return read_options(given.get("cascade", {}))
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"tierflow.cascade: {error}", param="tierflow.cascade") from None


def _refuse(fields: Mapping[str, Any]) -> None:
    n = fields.get("n")
    if n not in (None, 1):
        raise _unsupported("n", "one answer a request; leave it out")
    if fields.get("tools"):
        raise _unsupported("tools", "a call of a tool has no confidence that could be judged")
    if fields.get("logprobs") and fields.get("stream"):
        raise _unsupported("logprobs", "not in a stream; ask without stream")
    for name in _REFUSED:
        if fields.get(name):
            raise _unsupported(name, "leave it out, or name a served model")


def _unsupported(name: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"{name}: not with {NAME}: {why}", param=name, code="invalid_parameter")


def _stops(given: Any) -> tuple[str, ...]:
    stops = [given] if isinstance(given, str) else given or []
    if not isinstance(stops, list) or len(stops) > MAX_STOPS:
        raise InvalidRequest(f"stop: a text, or a list of {MAX_STOPS} at most", param="stop")
    if not all(isinstance(stop, str) for stop in stops):
        raise InvalidRequest("stop: texts", param="stop")
    return tuple(stop for stop in stops if stop)


def _wants_usage(options: Any) -> bool:
    return isinstance(options, dict) and options.get("include_usage") is True


def _all_maps(messages: Sequence[Any]) -> bool:
    return all(isinstance(message, dict) for message in messages)
