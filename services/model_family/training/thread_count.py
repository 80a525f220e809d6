"""How many threads to compute with on a machine that others use as well."""

from __future__ import annotations

PROBE_EVERY = 100
PROBE_STEPS = 3


class ThreadChooser:
    """The choice of one thread or all: the count that gives more tokens per second.

    It tries the other one now and then.

    Two threads meet at a barrier after each operation, so that one busy core halves both: then a
    single thread is faster. The first step after a change is not counted.
    """

    def __init__(self, cores: int) -> None:
        self.options = (1, cores) if cores > 1 else (1,)
        self.count = cores
        self._rates: dict[int, float] = {}
        self._steps = 0

    def next_count(self, tokens_per_second: float) -> int:
        """The count for the next step, given the rate of the step just done."""
        self._steps += 1
        if self._steps > 1:
            known = self._rates.get(self.count, tokens_per_second)
            self._rates[self.count] = 0.5 * known + 0.5 * tokens_per_second
        if len(self.options) > 1 and self._steps >= self._patience():
            other = next(option for option in self.options if option != self.count)
            self.count, self._steps = other, 0
        return self.count

    def _patience(self) -> int:
        best = max(self._rates, key=self._rates.__getitem__, default=self.count)
        settled = best == self.count and len(self._rates) == len(self.options)
        return PROBE_EVERY if settled else PROBE_STEPS
