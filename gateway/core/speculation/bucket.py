"""How much of something may happen in a while."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class TokenBucket:
    """A token bucket: `size` at once at most, refilled by `per_s` a second.

    Times are seconds on any clock that does not go back. It begins full.
    """

    size: float
    per_s: float
    _left: float | None = None
    _at: float = 0.0

    def take(self, amount: float, now: float) -> bool:
        """Whether there is as much; if not, nothing is taken."""
        left = self.size
        if self._left is not None:
            left = min(self.size, self._left + max(0.0, now - self._at) * self.per_s)
        self._at = max(now, self._at)
        enough = amount <= left
        self._left = left - amount if enough else left
        return enough
