"""How long a drafter takes for a token."""

from __future__ import annotations

import time

SHORT_READING = 4
"""Tokens that take about as long to read as one."""

MEMORY = 100
"""Tokens over which the mean runs."""


class StepTime:
    """The running mean of seconds a token, over about the last MEMORY tokens."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def add(self, seconds: float, tokens: int) -> None:
        share = min(1.0, tokens / MEMORY)
        self.seconds += share * (seconds / tokens - self.seconds)

    def start(self) -> StepTimer:
        return StepTimer(self)


class StepTimer:
    """The timer of one burst. Long readings do not count, as they are no draft steps."""

    def __init__(self, step_time: StepTime) -> None:
        self._step_time = step_time
        self._started = time.perf_counter()
        self._steps = 0

    def step(self, tokens: int) -> None:
        """The model has just read `tokens` in one run."""
        if tokens <= SHORT_READING:
            self._steps += 1
        else:
            self._started, self._steps = time.perf_counter(), 0

    def stop(self) -> None:
        if self._steps:
            self._step_time.add(time.perf_counter() - self._started, self._steps)
