"""A running estimate that forgets: recent values count more, and old ones fade into the prior."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class Estimate:
    """An exponentially weighted mean; without news it drifts back to `prior`.

    The drift matters for routing: an endpoint that was slow once, and is therefore left alone,
    gets its second chance after a few `half_life`s (seconds). `weight` is the share of a new
    value in the mean.
    """

    prior: float
    weight: float = 0.2
    half_life: float = 120.0
    mean: float | None = None
    updated: float = 0.0

    def observe(self, value: float, now: float) -> None:
        """Take in a measured value. Values that are not finite and positive are left out."""
        if not 0.0 < value < float("inf"):
            return
        old = self.mean
        self.mean = value if old is None else old + self.weight * (value - old)
        self.updated = now

    def at(self, now: float) -> float:
        if self.mean is None:
            return self.prior
        age = max(0.0, now - self.updated)
        return float(self.prior + (self.mean - self.prior) * 0.5 ** (age / self.half_life))
