"""The token bucket: so much at once, refilled at a steady rate. The shared store's is the same."""

from __future__ import annotations

import math
from dataclasses import dataclass

ROUNDING = 1e-9
"""Of the burst: who waits exactly as long as told must not be told to wait a moment more."""


def refilled(level: float, seconds: float, burst: float, per_s: float) -> float:
    """The level `seconds` later."""
    # Written out, as it runs several times for each request of a key.
    later = level + seconds * per_s if seconds > 0.0 else level
    return later if later < burst else burst


def spent(level: float, amount: float, burst: float, per_s: float) -> tuple[float, float]:
    """The level after `amount` was taken, and 0.0; where there is not enough, the level as it was
    and the seconds until there is (infinite for more than the burst)."""
    if level + ROUNDING * burst >= amount:
        return min(burst, max(level - amount, 0.0)), 0.0
    return level, math.inf if amount > burst else (amount - level) / per_s


@dataclass(slots=True, kw_only=True)
class TokenBucket:
    """A token bucket in memory: `burst` at once at most, refilled by `per_s` a second.

    Times are seconds on any clock that does not go back. It begins full.
    """

    burst: float
    per_s: float
    _level: float = math.inf
    _at: float = 0.0

    def has(self, amount: float, now: float) -> bool:
        """Whether there is as much; nothing is taken."""
        level = refilled(self._level, now - self._at, self.burst, self.per_s)
        return spent(level, amount, self.burst, self.per_s)[1] == 0.0

    def spend(self, amount: float, now: float) -> bool:
        """Whether there is as much; if not, nothing is taken."""
        level = refilled(self._level, now - self._at, self.burst, self.per_s)
        self._at = max(now, self._at)
        self._level, wait_s = spent(level, amount, self.burst, self.per_s)
        return wait_s == 0.0
