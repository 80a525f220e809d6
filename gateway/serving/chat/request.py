"""The one reader of a chat completion's body; every complaint names its field."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import orjson
from msgspec import inspect

from gateway.core.types import InferenceRequest
from gateway.errors import InvalidRequest
from gateway.protocol.chat import ChatBody, NamedTool, TierflowOptions
from gateway.protocol.fields import Sampling
from gateway.protocol.neutral_fields import is_neutral
from gateway.protocol.paths import CHAT

DEVICE_SAMPLING = tuple(name for name in Sampling.__struct_fields__ if name != "max_tokens")
"""Sampling fields that a device understands; the bound on tokens is the work order's own."""

_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a string",
    "bool": "a boolean",
    "array": "a list",
    "object": "an object",
}
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
_UNKNOWN = re.compile(r"^Object contains unknown field `(.*?)`", re.DOTALL)
_MISSING = re.compile(r"^Object missing required field `(.*?)`", re.DOTALL)
_MAX_NAME_CHARS = 64


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
    def include_usage(self) -> bool:
        """Whether a stream ends with a usage chunk."""
        options = self.body.stream_options
        return options is not None and options.include_usage is True

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
    return ChatRequest(inference=request, body=body, fields=fields, options=_options(body.tierflow))


def check(fields: Mapping[str, Any]) -> ChatBody:
    """Raises InvalidRequest for the first known field with a value out of its bounds.

    These are OpenAI's and vLLM's own. Numbers and booleans may be written as strings, as for vLLM.
    vLLM also takes a boolean for a number, spaces around one, and words such as `yes` for a
    boolean; the gateway does not. Nor does it take another `tierflow` than its own.
    """
    try:
        body = msgspec.convert(fields, ChatBody, strict=False, str_keys=True)
    except msgspec.ValidationError as error:
        raise _complaint(error, ChatBody) from None
    _check_together(body, fields)
    if body.tierflow is not None:
        _options(body.tierflow)
    return body


def max_tokens(body: ChatBody) -> int | None:
    """The newer name goes before the older one, as in vLLM."""
    return body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens


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
    return InvalidRequest(f"{param}: {expected}", param=param, code="invalid_value")


def _check_together(body: ChatBody, fields: Mapping[str, Any]) -> None:
    """Fields that are wrong only beside another one's value."""
    if fields.get("stream_options") and not body.stream:
        raise invalid("stream_options", "only with `stream`: true")
    if body.top_logprobs and not body.logprobs:
        raise invalid("top_logprobs", "only with `logprobs`: true")
    most = max_tokens(body)
    if most is not None and most < 1:
        raise invalid("max_tokens", "expected a whole number >= 1")
    if most is not None and body.min_tokens > most:
        raise invalid("min_tokens", f"expected at most {most}, the answer's bound")
    if body.tool_choice not in (None, "none") and not body.tools:
        raise invalid("tool_choice", "only with `tools`")
    if isinstance(body.tool_choice, NamedTool):
        name = body.tool_choice.function.name
        if all(tool.function.name != name for tool in body.tools or ()):
            raise invalid("tool_choice", "expected the name of one of the `tools`")
    if body.temperature == 0 and body.n not in (None, 1):
        raise invalid("n", "expected 1 with `temperature` 0, which gives one answer")
    for index, message in enumerate(fields["messages"]):
        # vLLM takes a message without `content`, not one whose content is null.
        if message["role"] == "user" and message.get("content", "") is None:
            raise invalid(f"messages.{index}.content", "expected a string or a list")


def _options(given: Any) -> TierflowOptions:
    if given is None:
        return TierflowOptions()
    try:
        return msgspec.convert(given, TierflowOptions)
    except msgspec.ValidationError as error:
        raise _complaint(error, TierflowOptions, "tierflow") from None


def _complaint(error: msgspec.ValidationError, body: type, root: str = "") -> InvalidRequest:
    said, _, place = str(error).partition(" - at ")
    path = [root] if root else []
    path += re.findall(r"\w+", place.rpartition("$")[2])
    if match := _UNKNOWN.match(said) or _MISSING.match(said):
        path.append(match[1][:_MAX_NAME_CHARS])
        expected = "unknown field" if said.startswith("Object contains") else "missing"
    elif said.startswith("Invalid enum value"):
        choices = _choices(body, path[1:] if root else path)
        expected = _one_of(choices)
    else:
        expected = _in_json_words(said)
    return invalid(".".join(path), expected)


def _one_of(choices: Sequence[str]) -> str:
    if not choices:
        return "not a known value"
    return f"expected {'one of ' if len(choices) > 1 else ''}{', '.join(choices)}"


def _in_json_words(said: str) -> str:
    """From "Expected `float | null`, got `str`" to "expected a number or null, got a string"."""

    def words(types: re.Match[str]) -> str:
        return " or ".join(_WORDS.get(name, name) for name in types[1].split(" | "))

    if "`int" in said:
        # orjson reads a whole number beyond 64 bits as a float.
        said = said.replace("got `float`", "got a fraction or more than 64 bits")
    return re.sub("`([^`]*)`", words, said).replace("Expected", "expected")


def _choices(body: type, path: Sequence[str]) -> list[str]:
    """The values that the field at `path` may have, where its type lists them."""
    kinds = [inspect.type_info(body)]
    for name in path:
        fields = [field for kind in _flat(kinds) for field in getattr(kind, "fields", ())]
        found = [field.type for field in fields if field.name == name]
        kinds = found or [kind.item_type for kind in _flat(kinds) if hasattr(kind, "item_type")]
    return [
        str(value)
        for kind in _flat(kinds)
        if isinstance(kind, inspect.LiteralType)
        for value in kind.values
    ]


def _flat(kinds: Sequence[inspect.Type]) -> list[inspect.Type]:
    return [
        one
        for kind in kinds
        for one in (kind.types if isinstance(kind, inspect.UnionType) else (kind,))
    ]
