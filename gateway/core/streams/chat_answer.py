"""Chat completions as engines write them, whole or in chunks, read into checked values: the one
reader of them.

What an answer consists of has to be right: its choices, messages, texts and tool calls. What is
only about it (ids, log-probabilities, token counts, reasons) is left out where it is not as
OpenAI's and vLLM's APIs have it: the answer is good without.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.core.streams.usage import read_usage
from gateway.core.upstream_errors import not_a_chat_completion

MAX_TOKEN_ID = 2**31 - 1
LOWEST_LOGPROB, HIGHEST_LOGPROB = -1e6, 1.0
"""Engines write minus infinity as -9999, and rounding may lift a certain token above 0."""
_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatChoice:
    """One choice of a chat completion, or of a chunk of one.

    `message` is the message or the delta: its content is a text or missing, its tool calls are a
    list of objects whose functions are objects, with whole numbers as their places. `logprobs` is
    the choice's block, None where it has none that can be read; `token_logprobs` are the values in
    it, one for each token.
    """

    message: Mapping[str, Any]
    logprobs: Mapping[str, Any] | None = None
    token_logprobs: Sequence[float] = ()
    token_ids: Sequence[int] = ()
    finish_reason: str | None = None
    stop_reason: str | int | None = None

    @property
    def text(self) -> str:
        content = self.message.get("content")
        return content if isinstance(content, str) else ""


def read_choices(body: Mapping[str, Any], endpoint: str, *, whole: bool) -> list[ChatChoice]:
    """Of a parsed body: a `whole` answer, which has one choice at least and is complete, or an
    event of a stream, which may have none. Raises EngineFailed for what is no such."""
    choices = body.get("choices")
    if choices is None and not whole:
        return []
    if not isinstance(choices, list) or (whole and not choices):
        raise not_a_chat_completion(endpoint, "choices", _kind(choices))
    if whole or body.get("usage"):
        _check_depth(body, endpoint)
    return [
        _choice(choice, f"choices[{place}]", endpoint, whole)
        for place, choice in enumerate(choices)
    ]


def prompt_tokens(body: Mapping[str, Any]) -> int:
    """As far as this body or event tells; 0: not here.

    The usage comes with a stream's end, which not every stream is read to; the prompt's ids, which
    an engine that gives ids tells, come with its beginning.
    """
    usage, ids = read_usage(body), body.get("prompt_token_ids")
    counted = usage.prompt_tokens if usage is not None else 0
    return counted or (len(ids) if isinstance(ids, list) else 0)


def completion_tokens(body: Mapping[str, Any]) -> int:
    """As the engine counts them; 0: not here."""
    usage = read_usage(body)
    return usage.completion_tokens if usage is not None else 0


def token_ids(value: Any) -> list[int]:
    """Ids of tokens as an engine gives them; none where one of them is no id."""
    return value if isinstance(value, list) and all(map(_is_id, value)) else []


def _choice(choice: Any, place: str, endpoint: str, whole: bool) -> ChatChoice:
    if not isinstance(choice, dict):
        raise not_a_chat_completion(endpoint, place, _kind(choice))
    part = "message" if whole or "delta" not in choice else "delta"
    message = _message(choice.get(part), f"{place}.{part}", endpoint, whole)
    block, values = _logprobs(choice.get("logprobs"))
    reason, stop = choice.get("finish_reason"), choice.get("stop_reason")
    if not isinstance(reason, str) and (whole or reason is not None):
        # An answer that came whole is complete, whether it says so or not.
        reason = "tool_calls" if message.get("tool_calls") else "stop"
    if not whole and (block is not None or message.keys() - {"role", "content"}):
        _check_depth(choice, endpoint)
    return ChatChoice(
        message=message,
        logprobs=block,
        token_logprobs=values,
        token_ids=token_ids(choice.get("token_ids")),
        finish_reason=reason,
        stop_reason=stop if isinstance(stop, str | int) else None,
    )


def _message(message: Any, place: str, endpoint: str, whole: bool) -> Mapping[str, Any]:
    if message is None and not whole:
        return _NOTHING
    if not isinstance(message, dict):
        raise not_a_chat_completion(endpoint, place, _kind(message))
    content = message.get("content")
    if not (content is None or isinstance(content, str)):
        raise not_a_chat_completion(endpoint, f"{place}.content", _kind(content))
    calls = message.get("tool_calls")
    if not calls:
        return message
    if not isinstance(calls, list):
        raise not_a_chat_completion(endpoint, f"{place}.tool_calls", _kind(calls))
    read = [
        _call(call, f"{place}.tool_calls[{number}]", endpoint) for number, call in enumerate(calls)
    ]
    return {**message, "tool_calls": read}


def _call(call: Any, place: str, endpoint: str) -> Mapping[str, Any]:
    if not isinstance(call, dict):
        raise not_a_chat_completion(endpoint, place, _kind(call))
    function = call.get("function")
    if not (function is None or isinstance(function, dict)):
        raise not_a_chat_completion(endpoint, f"{place}.function", _kind(function))
    if "index" in call and not _is_id(call["index"]):
        return {name: value for name, value in call.items() if name != "index"}
    return call


def _logprobs(block: Any) -> tuple[Mapping[str, Any] | None, list[float]]:
    content = block.get("content") if isinstance(block, dict) else None
    if content is None:
        return (block if isinstance(block, dict) else None), []
    if not isinstance(content, list):
        return None, []
    values: list[Any] = [
        token.get("logprob") if isinstance(token, dict) else None for token in content
    ]
    return (block, values) if all(map(_is_logprob, values)) else (None, [])


def _check_depth(value: Any, endpoint: str) -> None:
    """What nests deeper than JSON can be written again could not go to the caller."""
    try:
        orjson.dumps(value)
    except TypeError as error:
        raise not_a_chat_completion(endpoint, "the body", "nested too deeply") from error


def _is_id(value: Any) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return whole and 0 <= value <= MAX_TOKEN_ID


def _is_logprob(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and LOWEST_LOGPROB <= value <= HIGHEST_LOGPROB


def _kind(value: Any) -> str:
    """What a value is, in words that quote nothing of it."""
    if value is None:
        return "missing or null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    names = {dict: "an object", str: "a text", int: "a number", float: "a number"}
    return names[type(value)]
