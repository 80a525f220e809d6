"""The hop of a chain that a device drafts for, and what is known of the tier at its other end."""

from __future__ import annotations

import time
from collections.abc import Sequence

from gateway.protocol.device_link import speculation as wire
from services.device_agent.answers.verifier_profile import VerifierProfile
from services.device_agent.link.session_channel import SessionFrame

LEADERLESS_TOKENS = 32
"""Verified tokens without a lead before them, after which the tier in the middle counts as left
out: more than one step can bring."""


class DraftedHop:
    """The tier that judges a session's drafts: the one in the middle while it leads, else the
    verifier. At first that is the verifier: the gateway asks tiers in the middle only where they
    help, and the first lead tells that it has.

    `middle` is the profile of the tier in the middle; None: the chain has none.
    """

    def __init__(self, verifier: VerifierProfile, middle: VerifierProfile | None = None) -> None:
        self._verifier = verifier
        self._middle = middle
        self._leaderless = LEADERLESS_TOKENS
        self._last_step_at = 0.0
        self.is_trial = (middle or verifier).next_is_trial()

    @property
    def led(self) -> bool:
        """Whether the drafts go to a tier in the middle."""
        return self._middle is not None and self._leaderless < LEADERLESS_TOKENS

    @property
    def profile(self) -> VerifierProfile:
        return self._middle if self._middle is not None and self.led else self._verifier

    def lead_came(self) -> None:
        self._count(0)

    def tokens_came(self, count: int, *, lead: bool) -> None:
        """`count` verified tokens have come. `lead`: whether there was one before or after them."""
        self._count(0 if lead else self._leaderless + count)

    def _count(self, leaderless: int) -> None:
        led, self._leaderless = self.led, leaderless
        if self.led != led:
            # From one tier's step to another's is no step.
            self._last_step_at = 0.0

    def measure_step(self, frames: Sequence[SessionFrame]) -> None:
        """Learn the tier's step from those of the frames that have just come that tell of one."""
        tells = wire.Ahead if self.led else wire.Tokens
        steps = sum(isinstance(frame, tells) and bool(frame.i) for frame in frames)
        if not steps:
            return
        now = time.monotonic()
        if self._last_step_at:
            self.profile.learn_step(now - self._last_step_at, steps)
        self._last_step_at = now
