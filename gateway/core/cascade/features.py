"""What the log-probabilities of an answer's tokens tell of how sure its model was.

Sources: the mean and minimum over the tokens as in Malinin and Gales, 2021 (Uncertainty
estimation in autoregressive structured prediction); the worst window as the lowest group
confidence of Fu et al., 2025 (Deep think with confidence, section 3.1).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

WINDOW = 4
"""Tokens of a window, where nothing else is set."""

LOW = math.log(0.9)
"""Below this a token's log-probability counts as low."""

LEAST = -30.0
"""An engine may give minus infinity; a token is never counted as less likely than this."""

FROM_TOKENS = ("mean", "minimum", "worst_window", "last_window", "length", "low_share")
ASKED = ("agreement", "self_check")
"""Features that take further answers of the small model: shares from 0 to 1."""

FEATURES = (*FROM_TOKENS, *ASKED)


@dataclass(slots=True, kw_only=True)
class RunningFeatures:
    """The features of an answer that is still being made. A token costs the same at any length."""

    window: int = WINDOW
    count: int = 0
    _total: float = 0.0
    _minimum: float = 0.0
    _low: int = 0
    _worst: float = 0.0
    _last: deque[float] = field(default_factory=deque)

    def add(self, logprob: float) -> None:
        """Add the next token's."""
        known = _bounded(logprob)
        self.count += 1
        self._total += known
        self._minimum = min(self._minimum, known)
        self._low += known < LOW
        self._last.append(known)
        if len(self._last) > self.window:
            self._last.popleft()
        mean = self._last_mean()
        # Until a window is full there is only one: all tokens so far.
        self._worst = mean if self.count <= self.window else min(self._worst, mean)

    def values(self) -> dict[str, float]:
        """{} before the first token."""
        if not self.count:
            return {}
        return {
            "mean": self._total / self.count,
            "minimum": self._minimum,
            "worst_window": self._worst,
            "last_window": self._last_mean(),
            "length": math.log1p(self.count),
            "low_share": self._low / self.count,
        }

    def _last_mean(self) -> float:
        # Summed anew: differences of a running sum would leave a rest of what was far larger.
        return math.fsum(self._last) / len(self._last)


def features(logprobs: Iterable[float], window: int = WINDOW) -> dict[str, float]:
    """Of an answer, or of its beginning; {} where there is no token.

    Natural logarithms: `mean`, `minimum`, `worst_window` and `last_window` (means over `window`
    tokens in a row, over all where there are fewer). `length` is log(1 + tokens), `low_share` the
    share of tokens below `LOW`.
    """
    running = RunningFeatures(window=window)
    for value in logprobs:
        running.add(value)
    return running.values()


def from_mean(logprob: float) -> dict[str, float]:
    """Where only the mean over an answer is known, as of a device: the others stay unknown."""
    return {"mean": _bounded(logprob)}


def has_features(values: Mapping[str, float], names: Sequence[str]) -> bool:
    return all(name in values for name in names)


def _bounded(value: float) -> float:
    # A NaN compares false with everything: it counts as the least.
    return min(0.0, value) if value > LEAST else LEAST
