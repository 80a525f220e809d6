"""The one reader of the fields of chat completions, at the gateway and at the device agent; every
complaint names its field."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from gateway.protocol.requests.chat import ChatBody, NamedTool, TierflowOptions
from gateway.protocol.requests.prediction import PredictionBody, excluded_field
from gateway.protocol.requests.request_problems import RequestProblem

_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a string",
    "bool": "a boolean",
    "array": "a list",
    "object": "an object",
}
_UNKNOWN = re.compile(r"^Object contains unknown field `(.*?)`", re.DOTALL)
_MISSING = re.compile(r"^Object missing required field `(.*?)`", re.DOTALL)
_MAX_NAME_CHARS = 64

Body = TypeVar("Body", bound=msgspec.Struct)


class WrongField(Exception):
    """A field with a value that is not allowed."""

    def __init__(self, problem: RequestProblem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def check_chat(fields: Mapping[str, Any]) -> ChatBody:
    """Raises WrongField for the first known field with a value out of its bounds.

    These are OpenAI's and vLLM's own. Another `tierflow` than Tierflow's is not taken.
    """
    body = convert_fields(fields, ChatBody)
    _check_together(body, fields)
    if body.tierflow is not None:
        tierflow_options(body.tierflow)
    return body


def check_prediction(fields: Mapping[str, Any]) -> None:
    """Of a text completion. Raises WrongField for a prediction that is none, and for a field that
    may not stand beside one."""
    if convert_fields(fields, PredictionBody).prediction is not None:
        _check_beside_prediction(fields)


def convert_fields(fields: Any, body: type[Body], *, root: str = "", strict: bool = False) -> Body:
    """The fields as a `body`; `root` is the name of the field that they are in. Raises WrongField.

    Unless `strict`, numbers and booleans may be written as strings, as for vLLM. vLLM also takes a
    boolean for a number, spaces around one, and words such as `yes` for a boolean; this does not.
    """
    try:
        return msgspec.convert(fields, body, strict=strict, str_keys=not strict)
    except msgspec.ValidationError as error:
        raise _complaint(error, body, root) from None


def max_tokens(body: ChatBody) -> int | None:
    """The newer name goes before the older one, as in vLLM."""
    return body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens


def tierflow_options(given: Any) -> TierflowOptions:
    """What `tierflow` in a body asks for. Raises WrongField."""
    if given is None:
        return TierflowOptions()
    return convert_fields(given, TierflowOptions, root="tierflow", strict=True)


def wrong_value(param: str, expected: str) -> RequestProblem:
    """A value that is refused at every model."""
    return RequestProblem(f"{param}: {expected}", param, code="invalid_value")


def _wrong(param: str, expected: str) -> WrongField:
    return WrongField(wrong_value(param, expected))


def _check_together(body: ChatBody, fields: Mapping[str, Any]) -> None:
    """Fields that are wrong only beside another one's value."""
    if fields.get("stream_options") and not body.stream:
        raise _wrong("stream_options", "only with `stream`: true")
    if body.top_logprobs and not body.logprobs:
        raise _wrong("top_logprobs", "only with `logprobs`: true")
    most = max_tokens(body)
    if most is not None and most < 1:
        raise _wrong("max_tokens", "expected a whole number >= 1")
    if most is not None and body.min_tokens > most:
        raise _wrong("min_tokens", f"expected at most {most}, the answer's bound")
    if body.tool_choice not in (None, "none") and not body.tools:
        raise _wrong("tool_choice", "only with `tools`")
    if isinstance(body.tool_choice, NamedTool):
        name = body.tool_choice.function.name
        if all(tool.function.name != name for tool in body.tools or ()):
            raise _wrong("tool_choice", "expected the name of one of the `tools`")
    if body.temperature == 0 and body.n not in (None, 1):
        raise _wrong("n", "expected 1 with `temperature` 0, which gives one answer")
    if body.prediction is not None:
        _check_beside_prediction(fields)
    for index, message in enumerate(fields["messages"]):
        # vLLM takes a message without `content`, not one whose content is null.
        if message["role"] == "user" and message.get("content", "") is None:
            raise _wrong(f"messages.{index}.content", "expected a string or a list")


def _check_beside_prediction(fields: Mapping[str, Any]) -> None:
    if problem := excluded_field(fields):
        raise WrongField(problem)


def _complaint(error: msgspec.ValidationError, body: type, root: str) -> WrongField:
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
    return _wrong(".".join(path), expected)


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
