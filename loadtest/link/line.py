"""One direction of a link: when a piece that enters comes out at the other end. Pure.

A link's direction is a queue before a line that sends one piece after the other at a fixed rate,
followed by the way through the air or the fibre, which takes the same time for all pieces but for
some jitter. This is the model of Linux's netem with a rate (tc-netem(8)), without loss: TCP would
hide a loss behind a delay, and `Stall` gives such delays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Stall:
    """A regular standstill of the line: `for_s` seconds at every multiple of `every_s` from the
    start."""

    every_s: float
    for_s: float

    def __post_init__(self) -> None:
        if not 0 < self.for_s < self.every_s < math.inf:
            raise ValueError(
                f"a stall of {self.for_s:g} s every {self.every_s:g} s: it must be above 0 s and "
                "end before the next one begins"
            )

    def finish(self, start: float, work: float) -> float:
        """When `work` seconds of sending are done that begin at `start` (seconds from the start).

        The first stall begins at `every_s`.
        """
        cycle, phase = divmod(start, self.every_s)
        # Within a cycle the line first stands still (not in the very first one), then works.
        idle = self.for_s if cycle >= 1 else 0.0
        done_before = max(0.0, phase - idle)
        remaining = (self.every_s - idle) - done_before
        if work <= remaining:
            return cycle * self.every_s + idle + done_before + work
        per_cycle = self.every_s - self.for_s
        whole, rest = divmod(work - remaining, per_cycle)
        return (cycle + 1 + whole) * self.every_s + self.for_s + rest


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """The conditions of a line: one-way delay and jitter in seconds, its rate, its stalls.

    Raises ValueError for values that make no sense.
    """

    delay_s: float = 0.0
    jitter_s: float = 0.0
    bytes_per_s: float = math.inf
    stall: Stall | None = None

    def __post_init__(self) -> None:
        if not (0 <= self.delay_s <= 60):
            raise ValueError(f"delay of {1e3 * self.delay_s:g} ms: must be 0 to 60,000 ms")
        if not (0 <= self.jitter_s <= self.delay_s):
            raise ValueError(f"jitter of {1e3 * self.jitter_s:g} ms: must be 0 ms to the delay")
        if not self.bytes_per_s > 0:
            raise ValueError(f"rate of {self.bytes_per_s / 1e6:g} MB/s: must be above 0")


class Line:
    """A direction of a link. Times are seconds on the caller's clock, never running backwards.

    New conditions hold for what enters from then on; what is on its way keeps its time.
    """

    def __init__(self, conditions: Conditions, start: float, seed: int = 0) -> None:
        self.conditions = conditions
        self._start = start
        self._random = Random(seed)
        self._free = start
        self._last = start

    def leave(self, now: float, size: int) -> float:
        """When a piece of `size` bytes that enters at `now` has come out in full.

        Pieces come out in the order in which they entered: jitter never reorders.
        """
        conditions = self.conditions
        begin = max(now, self._free)
        work = size / conditions.bytes_per_s
        if conditions.stall is None:
            self._free = begin + work
        else:
            since = begin - self._start
            # A stall may only ever delay: rounding must not.
            self._free = max(begin, self._start + conditions.stall.finish(since, work))
        jitter = self._random.uniform(-conditions.jitter_s, conditions.jitter_s)
        self._last = max(self._last, self._free + conditions.delay_s + jitter)
        return self._last
