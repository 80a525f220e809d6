"""Whether drafts out of a request's own prompt pay, learnt from the answers of one model.

An accepted draft token saves a step of the engine; an offer makes the step that verifies it longer.
The gain of an answer is what it has saved less what its offers have cost, as a share of its steps
without drafts. Its running mean decides, with two thresholds, so that noise does not switch it on
and off.
"""

from __future__ import annotations

from dataclasses import dataclass

OFFER_COST = 0.3
"""Of a step without drafts, by which one is longer that verifies 16: 0.28 was measured with the
shipped family on a CPU; on a GPU it is less."""
ON_ABOVE, OFF_BELOW = 0.03, 0.01
"""Mean gains at which drafting begins again, and ends."""
WEIGHT = 0.1
"""Of the newest answer in the running mean."""
LEAST_ANSWERS = 8
"""With drafts, before the mean decides anything."""
FIRST_PAUSE, LONGEST_PAUSE = 16, 1024
"""Answers without drafts between two trials; the pause doubles with each trial in vain."""


@dataclass(slots=True, kw_only=True)
class LookupRule:
    """The rule for one model. Ask `allows` once for each answer that might have drafts, and
    `record` those that had some. `active`: drafting pays, or has not shown yet that it does not."""

    active: bool = True
    mean_gain: float = 0.0
    answers: int = 0
    _pause: int = FIRST_PAUSE
    _waited: int = 0

    def allows(self) -> bool:
        """Whether the next answer is to have drafts: where they pay, and now and then where not."""
        if self.active:
            return True
        self._waited += 1
        if self._waited < self._pause:
            return False
        self._waited = 0
        return True

    def record(self, *, tokens: int, accepted: int, offers: int) -> None:
        """An answer of so many tokens ended; `offers` were made for it, and `accepted` tokens of
        them came true."""
        if tokens < 1:
            return
        gain = (accepted - OFFER_COST * offers) / tokens
        self.answers += 1
        weight = max(WEIGHT, 1 / self.answers)
        self.mean_gain += weight * (gain - self.mean_gain)
        if self.active:
            if self.answers >= LEAST_ANSWERS and self.mean_gain < OFF_BELOW:
                self.active, self._pause, self._waited = False, FIRST_PAUSE, 0
        elif self.mean_gain > ON_ABOVE:
            self.active = True
        else:
            self._pause = min(LONGEST_PAUSE, 2 * self._pause)
