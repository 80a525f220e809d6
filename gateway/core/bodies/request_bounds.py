"""Bounds of what one request may ask for: what an engine would work on for long, or hold much of,
for one caller."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson

from gateway.core.bodies.body_outline import CUT
from gateway.core.bodies.media_urls import MediaName, media_urls, name_in, problem_of
from gateway.errors import InvalidRequest

CUT_JSON = orjson.dumps(CUT)[1:-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestBounds:
    """The most of each; see `limits` of the settings."""

    answers: int
    tokens: int
    logprobs: int
    prompts: int
    prompt_chars: int
    stops: int
    list_items: int
    tools: int
    choices: int
    schema_bytes: int
    media: int
    media_hosts: tuple[str, ...]
    media_lookup: bool
    engine_priority: int
    transfers: bool


def check_bounds(
    fields: Mapping[str, Any], prompt_chars: int, bounds: RequestBounds
) -> tuple[MediaName, ...]:
    """The names that are to be looked up. Raises InvalidRequest that names the field and the
    setting. A value of the wrong type passes: the engine explains it. Numbers may be written as
    texts, as for vLLM."""
    if prompt_chars > bounds.prompt_chars:
        raise _beyond("the prompt", "", "characters", bounds.prompt_chars, "max_prompt_chars")
    for name, value in fields.items():
        check = _CHECKS.get(name)
        if check is not None:
            check(name, value, bounds)
    return _check_media(fields, bounds)


def _check_number(most: Callable[[RequestBounds], int], setting: str) -> _Check:
    def check(name: str, value: Any, bounds: RequestBounds) -> None:
        if _number(value) > most(bounds):
            raise _beyond(name, name, "", most(bounds), setting)

    return check


def _check_length(most: Callable[[RequestBounds], int], setting: str) -> _Check:
    def check(name: str, value: Any, bounds: RequestBounds) -> None:
        if isinstance(value, list | dict) and len(value) > most(bounds):
            raise _beyond(name, name, "items", most(bounds), setting)

    return check


def _check_prompts(name: str, value: Any, bounds: RequestBounds) -> None:
    if isinstance(value, list) and len(value) > bounds.prompts and not isinstance(value[0], int):
        raise _beyond(name, name, "prompts", bounds.prompts, "max_prompts")


def _check_conversations(name: str, value: Any, bounds: RequestBounds) -> None:
    """A batch of chats has a list of messages for each."""
    if isinstance(value, list) and value and isinstance(value[0], list):
        _check_prompts(name, value, bounds)


def _check_structure(name: str, value: Any, bounds: RequestBounds) -> None:
    """An engine compiles these before it answers, for a time that grows faster than they do."""
    if not value:
        return
    if name.endswith("choice") and isinstance(value, list) and len(value) > bounds.choices:
        raise _beyond(name, name, "choices", bounds.choices, "max_choices")
    text = orjson.dumps(value)
    if len(text) > bounds.schema_bytes or CUT_JSON in text:
        raise _beyond(name, name, "bytes", bounds.schema_bytes, "max_schema_bytes")


def _check_structures(name: str, value: Any, bounds: RequestBounds) -> None:
    if isinstance(value, dict):
        for kind, structure in value.items():
            _check_structure(f"{name}.{kind[:64]}", structure, bounds)


def _check_priority(name: str, value: Any, bounds: RequestBounds) -> None:
    """An engine serves the lowest first."""
    if _number(value) < bounds.engine_priority:
        raise InvalidRequest(
            f"{name}: at least {bounds.engine_priority} (limits.min_engine_priority)",
            param=name,
            code="limit_exceeded",
        )


def _check_transfers(name: str, value: Any, bounds: RequestBounds) -> None:
    """They name machines and memory that an engine reads from."""
    if value and not bounds.transfers:
        raise InvalidRequest(
            f"{name}: not taken from callers; leave it out (limits.engine_transfers)",
            param=name,
            code="limit_exceeded",
        )


def _check_format(name: str, value: Any, bounds: RequestBounds) -> None:
    """Of the Responses and the Messages API; other routes may have a plain text of this name."""
    if isinstance(value, dict):
        _check_structure(name, value, bounds)


_Check: TypeAlias = Callable[[str, Any, RequestBounds], None]
_answers = _check_number(lambda bounds: bounds.answers, "max_answers")
_tokens = _check_number(lambda bounds: bounds.tokens, "max_answer_tokens")
_logprobs = _check_number(lambda bounds: bounds.logprobs, "max_logprobs")
_items = _check_length(lambda bounds: bounds.list_items, "max_list_items")
_CHECKS: Mapping[str, _Check] = {
    "n": _answers,
    "best_of": _answers,
    "max_tokens": _tokens,
    "max_completion_tokens": _tokens,
    "max_output_tokens": _tokens,
    "min_tokens": _tokens,
    "logprobs": _logprobs,
    "top_logprobs": _logprobs,
    "prompt_logprobs": _logprobs,
    "stop": _check_length(lambda bounds: bounds.stops, "max_stops"),
    "stop_sequences": _check_length(lambda bounds: bounds.stops, "max_stops"),
    "messages": _check_conversations,
    "queries": _check_prompts,
    "documents": _check_prompts,
    "items": _check_prompts,
    "text_1": _check_prompts,
    "text_2": _check_prompts,
    "data_1": _check_prompts,
    "data_2": _check_prompts,
    "tools": _check_length(lambda bounds: bounds.tools, "max_tools"),
    "stop_token_ids": _items,
    "bad_words": _items,
    "logit_bias": _items,
    "prompt": _check_prompts,
    "input": _check_prompts,
    "response_format": _check_structure,
    "guided_json": _check_structure,
    "guided_regex": _check_structure,
    "guided_choice": _check_structure,
    "guided_grammar": _check_structure,
    "structured_outputs": _check_structures,
    "text": _check_format,
    "output_config": _check_format,
    "priority": _check_priority,
    "kv_transfer_params": _check_transfers,
    "ec_transfer_params": _check_transfers,
}


def _check_media(fields: Mapping[str, Any], bounds: RequestBounds) -> tuple[MediaName, ...]:
    names: dict[str, MediaName] = {}
    for count, media in enumerate(media_urls(fields)):
        if count >= bounds.media:
            raise _beyond(media.field, media.field, "such URLs", bounds.media, "max_media")
        if problem := problem_of(media.url, bounds.media_hosts):
            raise InvalidRequest(
                f"{media.field}: {problem}", param=media.field, code="invalid_value"
            )
        if bounds.media_lookup and not bounds.media_hosts and (host := name_in(media.url)):
            names.setdefault(host, MediaName(media.field, host))
    return tuple(names.values())


def _beyond(what: str, field: str, unit: str, most: int, setting: str) -> InvalidRequest:
    amount = f"{most} {unit}".strip()
    return InvalidRequest(
        f"{what}: at most {amount} (limits.{setting})", param=field or None, code="limit_exceeded"
    )


def _number(value: Any) -> float:
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        try:
            return float(value) if len(value) < 400 else 0.0
        except ValueError:
            return 0.0
    return value if isinstance(value, float) else 0.0
