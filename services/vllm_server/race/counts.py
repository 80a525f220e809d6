"""What becomes of draft tokens before any verification, counted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counts:
    """What became of draft tokens since the start. Each token received meets at most one fate:

    - `repeated`: a branch held it already;
    - `crowded`: there was no room for it;
    - `offered`: a step took it for verification;
    - `late`: the request had said the same token before a step could take it;
    - `stale`: the request said something else at or before its place;
    - `unused`: its session ended, or was never claimed;
    - `ended`: its session had ended before it came.

    What is left is waiting. `offers` counts steps of single requests that took new drafts, and
    `age_us` sums, over these, how long the oldest of the tokens had waited (microseconds).
    """

    received: int = 0
    repeated: int = 0
    crowded: int = 0
    offered: int = 0
    late: int = 0
    stale: int = 0
    unused: int = 0
    ended: int = 0
    offers: int = 0
    age_us: int = 0

    @property
    def waiting(self) -> int:
        fates = self.repeated + self.crowded + self.offered + self.late
        return self.received - fates - self.stale - self.unused - self.ended
