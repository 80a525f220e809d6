"""Warm-up, stable, decay: a learning-rate schedule whose decay can begin at any time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class Schedule:
    """A schedule of the learning rate, which ends after ``steps`` or ``seconds`` of training.

    The last ``decay_share`` of that span decays linearly to zero, unless ``decay_began`` is set:
    then the decay runs from that moment (steps, seconds) for ``decay_seconds``.
    """

    steps: int
    seconds: float
    warmup: int
    decay_share: float
    decay_began: float | None = None
    decay_seconds: float = 0.0

    def begin_decay(self, elapsed: float, seconds: float) -> None:
        self.decay_began, self.decay_seconds = elapsed, seconds

    def progress(self, step: int, elapsed: float) -> float:
        """From 0 to 1, at which training ends."""
        if self.decay_began is not None:
            decayed = (elapsed - self.decay_began) / self.decay_seconds
            return 1 - self.decay_share * (1 - decayed)
        return max(step / self.steps, elapsed / self.seconds)

    def factor(self, step: int, elapsed: float) -> float:
        """The factor of the peak learning rates."""
        remaining = (1 - self.progress(step, elapsed)) / self.decay_share
        return max(0.0, min(1.0, (step + 1) / self.warmup, remaining))
