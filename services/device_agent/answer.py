"""What an answer is made of, whoever gives it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

By = Literal["draft", "verifier", "device"]
FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Ask:
    """A request for one answer to a prompt of token ids. None: the model's default."""

    prompt: list[int]
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    ignore_eos: bool = False
    window: int | None = None
    """Draft tokens ahead at most; None: adapts."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Token ids that are settled, and who produced each: a draft that was verified, the verifier
    itself, or the device alone."""

    ids: list[int]
    by: list[By]

    def runs(self) -> list[Piece]:
        """The same, one piece for each stretch of tokens by the same maker."""
        runs: list[Piece] = []
        for token, maker in zip(self.ids, self.by, strict=True):
            if not runs or runs[-1].by[0] != maker:
                runs.append(Piece([], []))
            runs[-1].ids.append(token)
            runs[-1].by.append(maker)
        return runs


@dataclass(slots=True)
class Report:
    """How an answer came about; complete when it has ended."""

    way: str
    endpoint: str | None = None
    reason: FinishReason = "stop"
    verified: int = 0
    unverified: int = 0
    drafted: int = 0
    accepted: int = 0
    degraded: str | None = None
    logprob: float = 0.0
    """Sum of the natural log-probabilities of the unverified tokens, as the device's model has
    them at temperature 1."""
    ids: list[int] = field(default_factory=list)

    def public(self) -> dict[str, object]:
        """For the `tierflow` field of an answer."""
        return {
            "way": self.way,
            "endpoint": self.endpoint,
            "verified_tokens": self.verified,
            "drafted_tokens": self.drafted,
            "accepted_tokens": self.accepted,
            "unverified_tokens": self.unverified,
            "degraded": self.degraded,
        }
