"""Answers of one tier, whole and in pieces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerPiece:
    """What came at once. `text` may lag behind `ids`: a letter of several tokens comes with its
    last one. `reason` and `stop` are the OpenAI finish reason and the stop text, at the end."""

    text: str
    ids: Sequence[int] = ()
    logprobs: Sequence[float] = ()
    reason: str | None = None
    stop: str | int | None = None

    @property
    def tokens(self) -> int:
        """How many it holds, also where an engine tells no ids."""
        return max(len(self.ids), len(self.logprobs), int(bool(self.text)))


@dataclass(slots=True, kw_only=True)
class LowerAnswer:
    """A lower tier's answer, or as much of it as came.

    `body` is the engine's own, where it came whole. `tokenizer` is the fingerprint of what made
    the ids, None where they mean nothing elsewhere. `cut`: at the tier's own limit.
    `mean_logprob`: where only the mean over all tokens is known. The `judging_` ones were spent on
    samples and self-checks.
    """

    model: str
    tier: str
    endpoint: str
    text: str = ""
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    reason: str | None = None
    stop: str | int | None = None
    prompt_tokens: int = 0
    tokens: int = 0
    judging_prompt_tokens: int = 0
    judging_tokens: int = 0
    tokenizer: str | None = None
    values: dict[str, float] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    cut: bool = False
    mean_logprob: float | None = None
    _heard: int = 0

    def take(self, piece: AnswerPiece) -> None:
        """What was counted before holds until the engine's own count comes, at the end."""
        self.text += piece.text
        self.ids += piece.ids
        self.logprobs += piece.logprobs
        self._heard += piece.tokens
        self.tokens = max(self.tokens, self._heard)
        self.reason = piece.reason or self.reason
        self.stop = piece.stop if piece.stop is not None else self.stop


def piece_of(choice: Mapping[str, Any], said: Mapping[str, Any]) -> AnswerPiece:
    """From a choice of a chat completion; `said` is its message or delta."""
    content = said.get("content")
    return AnswerPiece(
        text=content if isinstance(content, str) else "",
        ids=list(choice.get("token_ids") or ()),
        logprobs=_logprobs(choice.get("logprobs")),
        reason=choice.get("finish_reason"),
        stop=choice.get("stop_reason"),
    )


def prompt_tokens(body: Mapping[str, Any]) -> int:
    """As far as this body or event of a chat completion tells; 0: not here.

    The usage comes with a stream's end, which not every stream is read to; the prompt's ids, which
    an engine that gives ids tells, come with its beginning.
    """
    usage = body.get("usage")
    counted = usage.get("prompt_tokens") if isinstance(usage, Mapping) else None
    return int(counted or len(body.get("prompt_token_ids") or ()))


def _logprobs(given: Any) -> list[float]:
    content = given.get("content") if isinstance(given, Mapping) else None
    return [float(token["logprob"]) for token in content or ()]
