"""What a cascade needs from outside, and what it tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.core.cascade.decision import Reason


@dataclass(slots=True, kw_only=True)
class Stage:
    """The account of one tier's part in a request. `confidence` is None where nothing judged it
    (the top tier's answer).

    `decision` is accepted, escalated, answered (the top), failed or degraded; times in seconds. The
    `judging_` tokens were spent on samples or self-checks. Of a tier that failed, `tokens` are
    those that had come.
    """

    model: str
    tier: str
    endpoint: str = ""
    prompt_tokens: int = 0
    tokens: int = 0
    judging_prompt_tokens: int = 0
    judging_tokens: int = 0
    confidence: float | None = None
    decision: str = "answered"
    seconds: float = 0.0
    features: Mapping[str, float] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class CascadeOutcome:
    """The outcome of one request to the cascade. `tier` gave the answer, or its end where two
    wrote it."""

    stages: list[Stage] = field(default_factory=list)
    tier: str = "none"
    reason: Reason | None = None
    degraded: str | None = None
    predicted: int = 0
    kept: int = 0


class CascadeTelemetry(Protocol):
    """The place where cascades are counted. Neither method blocks or raises."""

    def cascaded(self, outcome: CascadeOutcome) -> None: ...

    def audited(self, agreed: bool) -> None: ...


class OutcomeLog(Protocol):
    """The log of outcomes that calibration reads: numbers and names, never text. `write` doesn't
    block."""

    def write(self, entry: Mapping[str, Any]) -> None: ...


Messages = Sequence[Mapping[str, Any]]
