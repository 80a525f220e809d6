"""What is meant to be other than at the engine, field by field, and why."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

BOTH, AGENT, GATEWAY = "both", "device agent", "gateway"
FRESH = frozenset({"id", "created", "message.id"})
"""Fields that are other in every answer."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Fields of one answer that are other, at the gateway, the device agent or both."""

    answer: str
    fields: tuple[str, ...]
    at: str
    why: str


MEANT = (
    Difference(
        answer="any error",
        fields=("error.code",),
        at=BOTH,
        why="The gateway's codes are words that say what is wrong, listed in [Errors](errors.md); "
        "vLLM repeats the status there.",
    ),
    Difference(
        answer="unknown model",
        fields=("error.message", "error.type"),
        at=BOTH,
        why="The message names all models that there are, of every pool; the type is OpenAI's.",
    ),
    Difference(
        answer="refused field",
        fields=("error.type",),
        at=AGENT,
        why="The type is OpenAI's `invalid_request_error`. Message and `param` are the engine's.",
    ),
    Difference(
        answer="answers and chunks",
        fields=("tierflow",),
        at=AGENT,
        why="Says who wrote the answer, the device or which server, and how many drafts came true.",
    ),
    Difference(
        answer="answers and chunks",
        fields=(
            *("system_fingerprint", "service_tier", "metrics", "prompt_logprobs", "prompt_text"),
            *("prompt_token_ids", "kv_transfer_params", "ec_transfer_params"),
            *("usage.prompt_tokens_details", "usage.completion_tokens_details"),
            *("choices.prompt_logprobs", "choices.prompt_token_ids"),
            *("choices.token_ids", "choices.routed_experts", "choices.message.annotations"),
            *("choices.message.audio", "choices.message.function_call"),
            *("choices.message.reasoning", "choices.message.refusal"),
        ),
        at=AGENT,
        why="The agent writes these answers itself, from the tokens that a server has verified. "
        "The fields are null at the engine, but for its fingerprint.",
    ),
)


def flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of an answer by their path, such as `choices.message.content`."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from flat(part, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and value:
        for part in value:
            yield from flat(part, path)
    else:
        yield path, value


def other_fields(own: Any, ours: Any) -> set[str]:
    """The fields that only one of two answers has, or that have other values."""
    left, right = dict(flat(own)), dict(flat(ours))
    paths = {path for path in left | right if left.get(path, ...) != right.get(path, ...)}
    return {_whole(path) for path in paths} - FRESH


def _whole(path: str) -> str:
    """What is Tierflow's own is one field."""
    return "tierflow" if path.startswith("tierflow.") else path


def meant_fields(at: str) -> set[str]:
    """All that may be other there."""
    return {field for one in MEANT if one.at in (at, BOTH) for field in one.fields}


WORDS = re.compile(r"max_(?:completion_)?tokens=\d+ cannot be greater .*?\(parameter=[^)]*\)")
UNKNOWN = re.compile(r"(?i)the model [`'\"\\]*no-such-model[`'\"\\]* does not exist")


def facts(answer: dict[str, Any]) -> dict[str, Any]:
    """What of a client's answer must be as at the engine: of an error not the code, and of the
    message what the engine says."""
    if "error" not in answer:
        return answer
    said = WORDS.search(answer["message"]) or UNKNOWN.search(answer["message"])
    words = re.sub(r"[`'\"\\]", "", said[0]).lower() if said else None
    return {"error": answer["error"], "status": answer.get("status"), "words": words}
