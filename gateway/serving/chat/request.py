"""A chat completion's body, as the virtual models read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.core.types import InferenceRequest
from gateway.errors import InvalidRequest
from gateway.protocol.paths import CHAT
from gateway.protocol.requests.chat import ChatBody, TierflowOptions
from gateway.protocol.requests.chat_fields import (
    WrongField,
    check_chat,
    check_prediction,
    max_tokens,
    tierflow_options,
    wrong_value,
)
from gateway.protocol.requests.neutral_fields import OF_THE_CALLER, is_neutral
from gateway.protocol.requests.sampling import Sampling

DEVICE_SAMPLING = tuple(name for name in Sampling.__struct_fields__ if name != "max_tokens")
"""Sampling fields that a device understands; the bound on tokens is the work order's own."""

_LEAVE_OUT = "leave it out, or name a served model"
_UNHEEDED = {
    "functions": "its answer is text; " + _LEAVE_OUT,
    "function_call": "its answer is text; " + _LEAVE_OUT,
    "audio": "its answer is text; " + _LEAVE_OUT,
    "prompt_logprobs": _LEAVE_OUT,
    "best_of": _LEAVE_OUT,
    "use_beam_search": _LEAVE_OUT,
    "echo": _LEAVE_OUT,
}
"""Fields that no virtual model can heed, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A chat request whose body has been read. `body` holds the fields that the gateway knows,
    checked and converted; `fields` holds all of them as the caller wrote them."""

    inference: InferenceRequest
    body: ChatBody
    fields: Mapping[str, Any]
    options: TierflowOptions

    @property
    def messages(self) -> Sequence[Mapping[str, Any]]:
        messages: Sequence[Mapping[str, Any]] = self.fields["messages"]
        return messages

    @property
    def max_tokens(self) -> int | None:
        """The caller's own bound on the answer's tokens."""
        return max_tokens(self.body)

    @property
    def stops(self) -> tuple[str, ...]:
        stop = self.body.stop
        return (stop,) if isinstance(stop, str) else tuple(stop or ())

    @property
    def caller_fields(self) -> dict[str, Any]:
        """What goes along with each call to an engine, whatever that is asked."""
        return {name: value for name, value in self.fields.items() if name in OF_THE_CALLER}

    @property
    def include_usage(self) -> bool:
        """Whether a stream ends with a usage chunk."""
        options = self.body.stream_options
        return options is not None and options.include_usage is True

    @property
    def continuous_usage(self) -> bool:
        """Whether each chunk of a stream counts the tokens so far."""
        options = self.body.stream_options
        return self.include_usage and options is not None and bool(options.continuous_usage_stats)

    def sampling(self, names: Sequence[str] = DEVICE_SAMPLING) -> dict[str, Any]:
        """Those of these fields that the caller gave, converted; `stop` as a list."""
        given = {
            name: getattr(self.body, name) for name in names if self.fields.get(name) is not None
        }
        if "stop" in given:
            given["stop"] = list(self.stops)
        return given


def read(request: InferenceRequest, model: str) -> ChatRequest:
    """The body of a request to the virtual model `model`. Raises InvalidRequest."""
    if request.path != CHAT:
        raise InvalidRequest(
            f"model: {model} answers {CHAT} only; name another model for {request.path}",
            param="model",
            code="invalid_route",
        )
    fields = orjson.loads(request.body)
    body = check(fields)
    options = tierflow_options(body.tierflow)
    return ChatRequest(inference=request, body=body, fields=fields, options=options)


def check(fields: Mapping[str, Any]) -> ChatBody:
    """Raises InvalidRequest for what `check_chat` finds."""
    try:
        return check_chat(fields)
    except WrongField as wrong:
        problem = wrong.problem
        raise InvalidRequest(problem.message, param=problem.param, code=problem.code) from None


def check_completion(fields: Mapping[str, Any]) -> None:
    """What the gateway checks of a text completion. Raises InvalidRequest."""
    try:
        check_prediction(fields)
    except WrongField as wrong:
        problem = wrong.problem
        raise InvalidRequest(problem.message, param=problem.param, code=problem.code) from None


def refuse(request: ChatRequest, model: str, reasons: Mapping[str, str]) -> None:
    """Raises InvalidRequest where a field is given that `model` can't heed: one that no virtual
    model can, or one of `reasons`, which says why by the field's name."""
    if request.body.n not in (None, 1):
        raise unsupported("n", model, "it gives one answer to a request; leave it out")
    for name, reason in {**_UNHEEDED, **reasons}.items():
        if not is_neutral(name, request.fields.get(name)):
            raise unsupported(name, model, reason)


def unsupported(param: str, model: str, reason: str) -> InvalidRequest:
    """For a value that other models may heed."""
    return InvalidRequest(
        f"{param} is not for {model}: {reason}", param=param, code="invalid_parameter"
    )


def invalid(param: str, expected: str) -> InvalidRequest:
    """For a value that is refused at every model."""
    problem = wrong_value(param, expected)
    return InvalidRequest(problem.message, param=problem.param, code=problem.code)
