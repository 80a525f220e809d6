"""Which tokens of an answer that is still being made may go to the caller already.

A token may go once the `window` - 1 tokens after it are known as well, and as long as the
confidence of the answer's beginning, as far as it is known, has never fallen below the threshold.
From the first dip on the rest is withheld until the whole answer is judged.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.core.cascade.features import features
from gateway.core.cascade.predictor import Model


@dataclass(slots=True)
class HoldBack:
    """`model` judges beginnings by what tokens tell alone; `threshold` is 0 to 1."""

    model: Model
    threshold: float
    window: int
    dipped: bool = False
    logprobs: list[float] = field(default_factory=list)
    _free: int = 0

    @property
    def free(self) -> int:
        """How many of the first tokens may go."""
        return self._free

    def take(self, *logprobs: float) -> int:
        """Further tokens; gives `free`."""
        for value in logprobs:
            self.logprobs.append(value)
            if not self.dipped:
                self._look()
        return self._free

    def _look(self) -> None:
        values = features(self.logprobs, self.window)
        if self.model.below_floor(values) or self.model.confidence(values) < self.threshold:
            self.dipped = self.threshold > 0.0
        if not self.dipped:
            self._free = max(self._free, len(self.logprobs) - self.window + 1)
