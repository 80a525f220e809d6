"""How many draft tokens a second may be sent. Pure."""

from __future__ import annotations

USED_SHARE = 0.8
"""Of what the gateway takes: clocks differ, and frames bunch up on the way."""

LONGEST_S = 0.5
"""What is not used is saved for this long."""


class DraftRateLimit:
    """A token bucket for draft tokens, of which one frame may overdraw.

    The gateway's own bucket refuses what exceeds it. This one asks before a frame is drafted whose
    length is not known yet, and knows of the gateway no more than its protocol.

    `per_s` is what the gateway takes; 0: no limit. Times are seconds on a clock that does not go
    back.
    """

    def __init__(self, per_s: float, now: float) -> None:
        self._per_s = USED_SHARE * per_s
        self._tokens = self._per_s * LONGEST_S
        self._at = now

    def allows(self, now: float) -> bool:
        if self._per_s == 0:
            return True
        most = self._per_s * LONGEST_S
        self._tokens = min(most, self._tokens + (now - self._at) * self._per_s)
        self._at = now
        return self._tokens > 0

    def spend(self, tokens: int) -> None:
        self._tokens -= tokens
