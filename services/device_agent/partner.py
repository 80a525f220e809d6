"""What one device learns of one verifying model, over all its sessions."""

from __future__ import annotations

from services.device_agent.drafting.acceptance import Acceptance
from services.device_agent.drafting.pace import Pace, pays, window

SHARE = 0.1
LOOK_EVERY = 8
"""Where drafting does not pay, every so many answers it is tried whether it would."""


class Partner:
    """`step_s` is the verifier's step, from the gaps between its tokens."""

    def __init__(self) -> None:
        self.acceptance = Acceptance()
        self.step_s = 0.02
        self.drafting = True
        self._gaps = 0
        self._answers = 0

    def looks_again(self) -> bool:
        """Asked once an answer."""
        self._answers += 1
        return self._answers % LOOK_EVERY == 0

    def gap(self, seconds: float, steps: int = 1) -> None:
        """Since the last tokens of one session, when `steps` frames of tokens have come.

        A busy device hears of several steps at once: their time is shared among them.
        """
        self._gaps += steps
        step = seconds / steps
        # A stall of the link is no step: what is far beyond the usual counts as a little more.
        bounded = step if self._gaps < 10 else min(step, 3 * self.step_s)
        weight = max(1 - (1 - SHARE) ** steps, steps / self._gaps)
        self.step_s += weight * (bounded - self.step_s)

    def pace(self, draft_s: float, round_trip_s: float, per_step: int) -> Pace:
        overall = self.acceptance.overall.value
        return Pace(overall, self.acceptance.second, draft_s, self.step_s, round_trip_s, per_step)

    def decide(self, pace: Pace) -> bool:
        self.drafting = pays(pace, self.drafting)
        return self.drafting

    def window(self, pace: Pace) -> int:
        return window(pace)
