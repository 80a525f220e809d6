"""The settings of the collective as the serving side needs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.core.collective.selection import Prior
from gateway.core.prices import Prices


@dataclass(frozen=True, slots=True)
class Quota:
    burst: float
    per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """Seconds that things stay in the store, and how fast what was learned fades."""

    idempotency_s: float = 86400.0
    lease_s: float = 10.0
    affinity_s: float = 3600.0
    feedback_s: float = 86400.0
    half_life_s: float = 7 * 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectivePolicy:
    """See `settings.collective` for each. `quorum` and `grace` are shares, `domains` maps names to
    what they are about."""

    aggregator: str = "tierflow-edge"
    aggregate: str = "auto"
    max_members: int = 5
    quorum: float = 0.66
    grace: float = 0.1
    agreement: float = 1.0
    deadline_s: float = 30.0
    rounds: int = 0
    on_too_few: str = "degrade"
    member_tokens: int = 256
    max_question_chars: int = 32_768
    max_answer_chars: int = 32_768
    feedback_weight: float = 4.0
    prior: Prior = Prior()
    prices: Prices = Prices()
    quota: Quota | None = None
    keep: Keep = Keep()
    domains: Mapping[str, str] = field(default_factory=dict)
