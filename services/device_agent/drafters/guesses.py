"""From logits to a guess, and how long guesses take."""

from __future__ import annotations

import time

import numpy as np

from services.device_agent.drafters.port import Guess, Logits


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
    """Of one token, at temperature 1. `logits` is [vocabulary]."""
    top = float(logits.max())
    return float(np.exp(float(logits[token]) - top) / np.exp(logits - top).sum())


def common_prefix(cached: list[int], text: list[int]) -> int:
    """How many tokens both begin with."""
    length = min(len(cached), len(text))
    if cached[:length] == text[:length]:
        return length
    low = 0
    while length - low > 1:
        middle = (low + length) // 2
        if cached[low:middle] == text[low:middle]:
            low = middle
        else:
            length = middle
    return low


SHORT_READING = 4
"""Tokens that take about as long to read as one."""


class Stopwatch:
    """A running mean of seconds a token, over about the last hundred tokens."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def add(self, seconds: float, tokens: int) -> None:
        share = min(1.0, tokens / 100)
        self.seconds += share * (seconds / tokens - self.seconds)

    def lap(self) -> Lap:
        return Lap(self)


class Lap:
    """One burst: counts the model's runs, but for long readings, which are no draft steps."""

    def __init__(self, stopwatch: Stopwatch) -> None:
        self._stopwatch = stopwatch
        self._started = time.perf_counter()
        self._steps = 0

    def read(self, tokens: int) -> None:
        """The model has just read `tokens` in one go."""
        if tokens <= SHORT_READING:
            self._steps += 1
        else:
            self._started, self._steps = time.perf_counter(), 0

    def end(self) -> None:
        if self._steps:
            self._stopwatch.add(time.perf_counter() - self._started, self._steps)
