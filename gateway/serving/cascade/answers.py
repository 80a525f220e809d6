"""Answers of a cascade's tiers, whole and in pieces, and what goes up with an escalation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from gateway.core.streams.chat_answer import ChatChoice, token_ids
from gateway.serving.chat.message_parts import MessageParts, parts_of, said
from gateway.serving.chat.reply import RenderedPrompt

_COUNTS = frozenset({"prompt_tokens", "completion_tokens", "total_tokens"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerPiece:
    """A piece of an answer that came at once. `text` may lag behind `token_ids`: a letter of
    several tokens comes with its last one. `parts` is what the message has beside text. The reasons
    are those of OpenAI and vLLM, and come with the last piece."""

    text: str
    parts: MessageParts | None = None
    token_ids: Sequence[int] = ()
    logprobs: Sequence[float] = ()
    finish_reason: str | None = None
    stop_reason: str | int | None = None

    @property
    def tokens(self) -> int:
        """How many it holds, also where an engine tells no ids."""
        return max(len(self.token_ids), len(self.logprobs), int(bool(self.text)))

    @property
    def empty(self) -> bool:
        return not (self.text or self.token_ids or self.finish_reason or self.parts)


@dataclass(slots=True, kw_only=True)
class LowerAnswer:
    """A lower tier's answer, or as much of it as came.

    `body` is the engine's own, where it came whole. `tokenizer` is the fingerprint of what made
    the ids, None where they mean nothing elsewhere. `cut`: it ended at the stage's own limit.
    `mean_logprob`: for a device, which tells only the mean over all tokens. The `probe_` tokens
    were spent on samples and self-checks.
    """

    model: str
    tier: str
    endpoint: str
    text: str = ""
    parts: MessageParts | None = None
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    finish_reason: str | None = None
    stop_reason: str | int | None = None
    prompt: RenderedPrompt = field(default_factory=RenderedPrompt)
    usage_details: Mapping[str, Any] = field(default_factory=dict)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    probe_prompt_tokens: int = 0
    probe_tokens: int = 0
    tokenizer: str | None = None
    features: dict[str, float] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    cut: bool = False
    mean_logprob: float | None = None
    _tokens_of_pieces: int = 0

    def add(self, piece: AnswerPiece) -> None:
        """The tokens of the pieces are counted until the engine's own count comes, at the end."""
        self.text += piece.text
        self.token_ids += piece.token_ids
        self.logprobs += piece.logprobs
        self._tokens_of_pieces += piece.tokens
        self.completion_tokens = max(self.completion_tokens, self._tokens_of_pieces)
        self.finish_reason = piece.finish_reason or self.finish_reason
        if piece.stop_reason is not None:
            self.stop_reason = piece.stop_reason

    @property
    def said(self) -> str:
        """In the form in which two answers are compared."""
        return self.text if self.body is None else said(self.body["choices"][0]["message"])

    def end_at(self, stop: str | None) -> None:
        """It ended at this stop text, which the gateway found itself."""
        self.finish_reason, self.stop_reason = "stop", stop


@dataclass(slots=True, kw_only=True)
class Escalation:
    """What goes up to the top tier, and what came of it.

    `sent_ids` and `sent_text` have gone to the caller; `predicted_ids` are the rest of the lower
    answer, made by `tokenizer`. `made_ids` are those of the top's own answer so far, up to the end
    of a letter: from there another endpoint may go on. `rejected_models` have answered already.
    `replaces`: nothing has been sent, so the top's answer takes the lower one's place.
    `engine_stops`: the engine looks for stop texts itself. `prediction` is verified, or why it was
    of no use: no-drafts, tokenizer-differs, no-prediction, not-portable. `begun`: some of it has
    come. `body` is the engine's own, where the answer came whole.
    """

    sent_ids: list[int] = field(default_factory=list)
    sent_text: str = ""
    predicted_ids: list[int] = field(default_factory=list)
    tokenizer: str | None = None
    rejected_models: Set[str] = frozenset()
    made_ids: list[int] = field(default_factory=list)
    replaces: bool = True
    engine_stops: bool = True
    deadline_s: float | None = None
    model: str = ""
    tier: str = "none"
    endpoint: str = ""
    prediction: str = "no-prediction"
    begun: bool = False
    body: Mapping[str, Any] | None = None
    offered: int = 0
    kept: int = 0
    prompt: RenderedPrompt = field(default_factory=RenderedPrompt)
    usage_details: Mapping[str, Any] = field(default_factory=dict)
    prompt_tokens: int = 0
    completion_tokens: int = 0


def piece_of(choice: ChatChoice, *, logprobs: bool) -> AnswerPiece:
    """`logprobs`: the caller is to get them."""
    return AnswerPiece(
        text=choice.text,
        parts=parts_of(choice, logprobs=logprobs),
        token_ids=choice.token_ids,
        logprobs=choice.token_logprobs,
        finish_reason=choice.finish_reason,
        stop_reason=choice.stop_reason,
    )


def rendered_prompt(body: Mapping[str, Any], before: RenderedPrompt) -> RenderedPrompt:
    """As this body or event of a chat completion tells it; `before` where it does not."""
    ids, text = token_ids(body.get("prompt_token_ids")), body.get("prompt_text")
    if not (ids or text):
        return before
    return RenderedPrompt(ids or None, text if isinstance(text, str) else None)


def usage_details(body: Mapping[str, Any], before: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the usage of this body or event has beside the counts; `before` where it has none."""
    usage = body.get("usage")
    if not isinstance(usage, Mapping):
        return before
    return {name: value for name, value in usage.items() if name not in _COUNTS}
