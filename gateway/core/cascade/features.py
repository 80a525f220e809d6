"""What the log-probabilities of an answer's tokens tell of how sure its model was.

Sources: the mean and minimum over the tokens as in Malinin and Gales, 2021 (Uncertainty
estimation in autoregressive structured prediction); the worst window as the lowest group
confidence of Fu et al., 2025 (Deep think with confidence, section 3.1).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

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


def features(logprobs: Sequence[float], window: int = WINDOW) -> dict[str, float]:
    """Of an answer, or of its beginning; {} where there is no token.

    Natural logarithms: `mean`, `minimum`, `worst_window` and `last_window` (means over `window`
    tokens in a row, over all where there are fewer). `length` is log(1 + tokens), `low_share` the
    share of tokens below `LOW`.
    """
    if not logprobs:
        return {}
    known = [_bounded(value) for value in logprobs]
    count = len(known)
    means = window_means(known, window)
    return {
        "mean": math.fsum(known) / count,
        "minimum": min(known),
        "worst_window": min(means),
        "last_window": means[-1],
        "length": math.log1p(count),
        "low_share": sum(value < LOW for value in known) / count,
    }


def from_mean(logprob: float) -> dict[str, float]:
    """Where only the mean over an answer is known, as of a device: no more can be told apart."""
    mean = _bounded(logprob)
    return {"mean": mean, "minimum": mean, "worst_window": mean, "last_window": mean}


def window_means(logprobs: Sequence[float], window: int) -> list[float]:
    """The mean of every `window` values in a row; of all, where there are fewer."""
    width = min(window, len(logprobs))
    return [
        math.fsum(logprobs[start : start + width]) / width
        for start in range(len(logprobs) - width + 1)
    ]


def known(values: Mapping[str, float], names: Sequence[str]) -> bool:
    return all(name in values for name in names)


def _bounded(value: float) -> float:
    # A NaN compares false with everything: it counts as the least.
    return min(0.0, value) if value > LEAST else LEAST
