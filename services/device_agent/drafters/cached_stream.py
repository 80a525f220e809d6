"""A stream of drafts whose model runs in this process, one token at a time, with a KV cache."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np

from services.device_agent.drafters.port import Chooser, Guess, Logits
from services.device_agent.drafters.step_time import StepTime

READ_AT_ONCE = 512
"""Tokens of a long text in one run of the model: bounds what its activations take."""


class CachedStream(ABC):
    """The part of a stream that all models in this process share.

    `written` holds the tokens whose keys and values are in the cache; `_roll_back` and `_read`
    keep it so. `context` is in tokens.
    """

    def __init__(self, context: int, step_time: StepTime, written: list[int]) -> None:
        self._context = context
        self._step_time = step_time
        self._written = written

    @property
    def cached(self) -> int:
        return len(self._written)

    @abstractmethod
    def _roll_back(self, kept: int) -> None:
        """Roll the cache back to the first `kept` tokens."""

    @abstractmethod
    def _read(self, tokens: list[int]) -> Logits:
        """Append to the text; returns the logits [vocabulary] after it. Raises DrafterFailed."""

    def draft(
        self,
        text: Sequence[int],
        count: int,
        stop: Callable[[Guess], bool],
        chooser: Chooser | None = None,
    ) -> list[Guess]:
        if not text or len(text) >= self._context:
            return []
        count = min(count, self._context - len(text))
        guesses: list[Guess] = []
        timer = self._step_time.start()
        logits, tokens = self._read_text(list(text))
        timer.step(tokens)
        while True:
            guess = _guess(logits, chooser)
            guesses.append(guess)
            if len(guesses) >= count or stop(guess):
                break
            logits = self._read([guess.token])
            timer.step(1)
        timer.stop()
        return guesses

    def _read_text(self, text: list[int]) -> tuple[Logits, int]:
        """The logits after `text`, and how many of its tokens were not in the cache."""
        kept = min(common_prefix(self._written, text), len(text) - 1)
        self._roll_back(kept)
        for begin in range(kept, len(text), READ_AT_ONCE):
            logits = self._read(text[begin : begin + READ_AT_ONCE])
        return logits, len(text) - kept


def _guess(logits: Logits, chooser: Chooser | None) -> Guess:
    if chooser is None:
        return best_two(logits)
    token = chooser.pick(logits)
    return Guess(token, probability(logits, token))


def best_two(logits: Logits) -> Guess:
    """The likeliest token with its probability, and the second. `logits` is [vocabulary]."""
    if logits.size < 2:
        return Guess(0, 1.0)
    high = np.argpartition(logits, -2)[-2:]
    second, first = (int(high[0]), int(high[1]))
    if (logits[second], -second) > (logits[first], -first):
        first, second = second, first
    top = float(logits[first])
    return Guess(first, float(1.0 / np.exp(logits - top).sum()), second)


def probability(logits: Logits, token: int) -> float:
    """The probability of one token at temperature 1. `logits` is [vocabulary]."""
    top = float(logits.max())
    return float(np.exp(float(logits[token]) - top) / np.exp(logits - top).sum())


def common_prefix(cached: list[int], text: list[int]) -> int:
    """How many tokens both begin with."""
    length = min(len(cached), len(text))
    if cached[:length] == text[:length]:
        return length
    # Slices are compared in C: halving is faster than a loop over tokens.
    low = 0
    while length - low > 1:
        middle = (low + length) // 2
        if cached[low:middle] == text[low:middle]:
            low = middle
        else:
            length = middle
    return low
