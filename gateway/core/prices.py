"""The price list: what tokens cost, by the tier that made them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Prices:
    """The price list: per 1,000 tokens, prompt and completion alike, in any one currency."""

    by_tier: Mapping[str, float] = field(default_factory=dict)

    def of(self, tier: str, tokens: float) -> float:
        return self.by_tier.get(tier, 0.0) * tokens / 1000.0

    def per_token(self, tier: str) -> float:
        return self.of(tier, 1.0)
