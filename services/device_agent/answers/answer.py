"""An answer: the request for it, its pieces as they come, and the report on how it came about."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from gateway.protocol.device_link.fields import Privacy, Tier
from gateway.protocol.requests.sampling import Sampling

TokenOrigin = Literal["draft", "verifier", "device"] | Tier
"""Who produced a token: a draft that was verified, the verifier itself, or the device alone. A
tier in the middle by its name: its own draft for the next, which was verified."""

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """A request for one answer to a prompt of token ids.

    `window` is how many draft tokens may be ahead of the verified text; None: it adapts.
    `privacy` is the class of the request, which says whose eyes it may meet. `id` is the request's,
    the same in the logs of device, gateway and engine; "": the gateway gives it one.
    """

    prompt: list[int]
    sampling: Sampling = Sampling()
    window: int | None = None
    privacy: Privacy = "public"
    id: str = ""


@dataclass(frozen=True, slots=True)
class AnswerPiece:
    """The next tokens of an answer, which will not change any more, and the origin of each."""

    token_ids: list[int]
    origins: list[TokenOrigin]

    def split_by_origin(self) -> list[AnswerPiece]:
        """The same tokens, as one piece for each stretch of tokens of one origin."""
        pieces: list[AnswerPiece] = []
        for token_id, origin in zip(self.token_ids, self.origins, strict=True):
            if not pieces or pieces[-1].origins[0] != origin:
                pieces.append(AnswerPiece([], []))
            pieces[-1].token_ids.append(token_id)
            pieces[-1].origins.append(origin)
        return pieces


@dataclass(slots=True, kw_only=True)
class AnswerReport:
    """The report on how an answer came about; complete when the answer has ended.

    `logprob` is the sum of the natural log-probabilities of the unverified tokens, as the device's
    model has them at temperature 1. `degraded` says why the answer did not come as was asked
    for; None: it did. `placement`: on-device, device-edge, device-cloud or device-edge-cloud.
    `model` writes what comes now. `accepted_tokens` counts the verified tokens that the device
    wrote first, `middle_tokens` those of tiers in the middle. `stop_reason` is the stop text or the
    id of the token that ended the answer, where it was none of the model's own ends.
    """

    placement: str
    model: str = ""
    endpoint: str | None = None
    finish_reason: FinishReason = "stop"
    stop_reason: str | int | None = None
    verified_tokens: int = 0
    unverified_tokens: int = 0
    drafted_tokens: int = 0
    accepted_tokens: int = 0
    middle_tokens: Counter[str] = field(default_factory=Counter)
    degraded: str | None = None
    logprob: float = 0.0
    token_ids: list[int] = field(default_factory=list)

    def to_json(self) -> dict[str, object]:
        """The field `tierflow` of an answer."""
        return {
            "way": self.placement,
            "endpoint": self.endpoint,
            "verified_tokens": self.verified_tokens,
            "drafted_tokens": self.drafted_tokens,
            "accepted_tokens": self.accepted_tokens,
            "middle_tokens": dict(self.middle_tokens),
            "unverified_tokens": self.unverified_tokens,
            "degraded": self.degraded,
        }
