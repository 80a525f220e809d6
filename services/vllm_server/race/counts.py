"""What becomes of draft tokens before any verification, counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MEANINGS: Mapping[str, str] = {
    "received": "Draft tokens that came.",
    "repeated": "Draft tokens that a branch held already.",
    "crowded": "Draft tokens for which there was no room.",
    "offered": "Draft tokens that a step took for verification.",
    "left_out": "Draft tokens that a step had room for and left out, because to verify them would "
    "have cost more than they bring; counted in each such step.",
    "late": "Draft tokens that the request generated itself before a step could take them.",
    "stale": "Draft tokens at or before whose position the request generated another token.",
    "unused": "Draft tokens whose session ended, or was never claimed by a request.",
    "ended": "Draft tokens whose session had ended before they came.",
    "waiting": "Draft tokens that wait for a step now.",
    "accepted": "Draft tokens that verification accepted.",
    "offers": "Steps of single requests that took new draft tokens.",
    "age_us": "Microseconds that the oldest token of each of these steps had waited, added up.",
    "timed_steps": "Steps without prompts that followed each other, while there were sessions.",
    "step_us": "Microseconds that these steps took, added up.",
    "expected_us": "Microseconds that they had been expected to take, added up.",
    "sessions": "Sessions that the engine knows now.",
    "failures": "Steps in which drafts were left out because of an error.",
    "denied": "Connections with a wrong secret.",
    "refused": "Frames and messages that could not be read.",
    "foreign": "Draft tokens that the vocabulary does not have.",
    "dropped": "Messages that were lost because too many waited.",
    "turned_away": "Connections beyond the largest number, with the secret or without it.",
    "connections": "Connections now.",
}
"""All that an engine reports to the gateway about drafts, its mailbox's counts included."""


@dataclass(slots=True, kw_only=True)
class Counts:
    """The fates of draft tokens since the start; `MEANINGS` tells each.

    Each token received meets at most one fate. Those that met none are waiting, those that were
    left out of a step as well.
    """

    received: int = 0
    repeated: int = 0
    crowded: int = 0
    offered: int = 0
    late: int = 0
    stale: int = 0
    unused: int = 0
    ended: int = 0
    left_out: int = 0
    offers: int = 0
    age_us: int = 0

    @property
    def waiting(self) -> int:
        fates = self.repeated + self.crowded + self.offered + self.late
        return self.received - fates - self.stale - self.unused - self.ended
