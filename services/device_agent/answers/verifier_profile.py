"""What one device has learned of one verifying model, over all its sessions."""

from __future__ import annotations

from services.device_agent.drafting.acceptance import Acceptance
from services.device_agent.drafting.speedup import SpeedupInputs, pays, window

NEWEST_WEIGHT = 0.1
"""Weight of the newest gap between tokens in the running mean."""

TRIAL_EVERY = 8
"""Where drafting does not pay, every so many answers it is tried whether it would."""

FIRST_GAPS = 10
"""Gaps that are taken as they are, before a longer one counts as a stall."""

LONGEST_STEPS = 3
"""Steps of the usual length that one gap counts as at most: a stall of the link is no step."""


class VerifierProfile:
    """The profile of one verifying model: how often drafts are right, and how long a step takes.

    `step_s` is the verifier's step in seconds, from the gaps between its tokens. `behind_gateway_s`
    is the round trip between gateway and verifier, as the gateway says. `drafting` is the last
    decision whether to draft for it.
    """

    def __init__(self) -> None:
        self.acceptance = Acceptance()
        self.step_s = 0.02
        self.behind_gateway_s = 0.0
        self.drafting = True
        self._gaps = 0
        self._answers = 0

    def next_is_trial(self) -> bool:
        """Whether the next answer is one by which to see if drafting pays; called once each."""
        self._answers += 1
        return self._answers % TRIAL_EVERY == 0

    def learn_step(self, seconds: float, steps: int = 1) -> None:
        """`seconds` since the last tokens of one session, when `steps` frames of tokens have come.

        A busy device sees several steps at once: their time is shared among them.
        """
        self._gaps += steps
        step_s = seconds / steps
        if self._gaps >= FIRST_GAPS:
            step_s = min(step_s, LONGEST_STEPS * self.step_s)
        weight = max(1 - (1 - NEWEST_WEIGHT) ** steps, steps / self._gaps)
        self.step_s += weight * (step_s - self.step_s)

    def speedup_inputs(self, *, draft_s: float, link_s: float, per_step: int) -> SpeedupInputs:
        """`link_s`: the round trip between device and gateway."""
        return SpeedupInputs(
            acceptance=self.acceptance.overall.value,
            second=self.acceptance.second,
            draft_s=draft_s,
            step_s=self.step_s,
            round_trip_s=link_s + self.behind_gateway_s,
            per_step=per_step,
        )

    def decide(self, inputs: SpeedupInputs) -> bool:
        """Whether to draft now. Depends on the last decision, so that it does not flutter."""
        self.drafting = pays(inputs, self.drafting)
        return self.drafting

    def window(self, inputs: SpeedupInputs) -> int:
        return window(inputs)
