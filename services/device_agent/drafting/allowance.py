"""How many draft tokens a second may go up. Pure."""

from __future__ import annotations

SHARE = 0.8
"""Of what the gateway allows: clocks differ, and frames bunch up on the way."""

LONGEST_S = 0.5
"""What is not used is saved for this long."""


class Allowance:
    """`per_s` 0: without limit. Times are seconds on a clock that does not go back."""

    def __init__(self, per_s: float, now: float) -> None:
        self._per_s = SHARE * per_s
        self._left = self._per_s * LONGEST_S
        self._at = now

    def has(self, now: float) -> bool:
        if self._per_s == 0:
            return True
        most = self._per_s * LONGEST_S
        self._left = min(most, self._left + (now - self._at) * self._per_s)
        self._at = now
        return self._left > 0

    def spend(self, tokens: int) -> None:
        self._left -= tokens
