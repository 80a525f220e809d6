"""OpenAI's field `prediction`: the text that the caller expects as the answer, or much of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from gateway.protocol.requests.neutral_fields import is_neutral
from gateway.protocol.requests.request_problems import RequestProblem

FIELD = "prediction"


class PredictedPart(Struct, frozen=True):
    type: Literal["text"]
    text: str


class PredictedContent(Struct, frozen=True):
    type: Literal["content"]
    content: str | Annotated[list[PredictedPart], Meta(min_length=1)]


class PredictionBody(Struct, frozen=True):
    """What of a completion's body is about its prediction."""

    prediction: PredictedContent | None = None


_EXCLUDED = (
    "n", "best_of", "logprobs", "top_logprobs", "audio", "modalities", "tools", "functions",
    "echo", "suffix", "use_beam_search",
)  # fmt: skip
"""Fields that are refused beside a prediction, as OpenAI refuses them or would: the answer is one
text, without log-probabilities. OpenAI's `max_completion_tokens` is taken: it changes nothing."""
_NOT_ABOVE_0 = ("presence_penalty", "frequency_penalty")


def excluded_field(fields: Mapping[str, Any]) -> RequestProblem | None:
    """The first field of a body that may not stand beside its prediction; None: there is none."""
    for name in _EXCLUDED:
        if not is_neutral(name, fields.get(name)):
            return _problem(name, "leave it out")
    for name in _NOT_ABOVE_0:
        value = fields.get(name)
        if isinstance(value, int | float) and value > 0:
            return _problem(name, "give at most 0")
    return None


def predicted_text(fields: Mapping[str, Any]) -> str:
    """Of a body whose prediction has been checked."""
    content = (fields.get(FIELD) or {}).get("content", "")
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def _problem(name: str, fix: str) -> RequestProblem:
    return RequestProblem(f"{name}: not beside `{FIELD}`; {fix}", name, code="invalid_value")
