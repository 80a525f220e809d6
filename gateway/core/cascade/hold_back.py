"""Which tokens of an answer that is still being made may go to the caller already.

A token may go once the `window` - 1 tokens after it are known as well, and as long as the
confidence of the answer's beginning, as far as it is known, has never fallen below the threshold.
From the first dip on the rest is withheld until the whole answer is judged.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.core.cascade.features import RunningFeatures
from gateway.core.cascade.predictor import ConfidenceModel


@dataclass(slots=True, kw_only=True)
class HoldBack:
    """The rule that says how much of a stream may go out before the whole is judged. `model`
    judges beginnings by what tokens tell alone; `threshold` is 0 to 1."""

    model: ConfidenceModel
    threshold: float
    window: int
    dipped: bool = False
    _free: int = 0
    _so_far: RunningFeatures = field(init=False)

    def __post_init__(self) -> None:
        self._so_far = RunningFeatures(window=self.window)

    @property
    def free(self) -> int:
        """How many of the first tokens may go out."""
        return self._free

    def add(self, *logprobs: float) -> int:
        """Add tokens; gives `free`."""
        for value in logprobs:
            if self.dipped:
                break
            self._so_far.add(value)
            self._check()
        return self._free

    def _check(self) -> None:
        values = self._so_far.values()
        if self.model.below_floor(values) or self.model.confidence(values) < self.threshold:
            self.dipped = self.threshold > 0.0
        if not self.dipped:
            self._free = max(self._free, self._so_far.count - self.window + 1)
