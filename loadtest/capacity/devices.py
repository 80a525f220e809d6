"""Emulated devices: what each would have drafted by now. Pure.

A device drafts ahead from its own guess, a token in `draft_s`, up to `window` tokens beyond what it
knows to be verified, and what it knows is half a round trip old. As agents do, it drafts no further
than a token is likely enough to come out. Its drafts are the true
continuation, of which each token is wrong with a chance of 1 - acceptance. After a wrong one
everything is wrong, until the device hears the token that the engine has there: it rolls back and
goes on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from math import log
from random import Random

from loadtest.capacity.plan import DevicePace

BEFORE = 4
"""Ids before a run that are sent along, as devices do."""
LEAST_CHANCE = 0.1
"""With which a token must come out that a device drafts; the first is drafted in any case."""


def worthwhile(acceptance: float, most: int) -> int:
    """How many tokens ahead each comes out with LEAST_CHANCE: from 1 to `most`."""
    if acceptance >= 1:
        return most
    if acceptance <= LEAST_CHANCE:
        return 1
    return min(most, int(log(LEAST_CHANCE) / log(acceptance)))


class EmulatedDevice:
    """The device of one answer, whose ids are `truth`. Times in seconds, from any beginning."""

    def __init__(
        self,
        *,
        truth: Sequence[int],
        acceptance: float,
        pace: DevicePace,
        random: Random,
        vocabulary: int,
        now: float,
    ) -> None:
        self._truth = truth
        self._acceptance = acceptance
        self._pace = pace
        self._window = worthwhile(acceptance, pace.window)
        self._random = random
        self._vocabulary = vocabulary
        self._guess: list[int] = []
        self._wrong_from: int | None = None
        self._sent = 0
        self._known = 0
        self._clock = now
        self._heard: deque[tuple[float, int]] = deque()

    def hear(self, now: float, verified: int) -> None:
        """The engine has said `verified` tokens; the device knows half a round trip later."""
        self._heard.append((now + self._pace.round_trip_s / 2, verified))

    def drafted(self, now: float) -> list[tuple[float, int, list[int], list[int]]]:
        """The runs that were drafted until now: (when it reaches the engine, position, ids, ids
        before)."""
        runs = []
        while self._heard and self._heard[0][0] <= now:
            at, verified = self._heard.popleft()
            runs += self._draft_until(at)
            self._learn(at, verified)
        return runs + self._draft_until(now)

    def _learn(self, at: float, verified: int) -> None:
        self._known = max(self._known, verified)
        wrong = self._wrong_from
        if len(self._guess) < verified or (wrong is not None and wrong < verified):
            self._guess = list(self._truth[:verified])
            self._wrong_from, self._sent = None, verified
            # What was half drafted is given up with the guess.
            self._clock = max(self._clock, at)

    def _draft_until(self, now: float) -> list[tuple[float, int, list[int], list[int]]]:
        runs = []
        end = min(len(self._truth), self._known + self._window)
        while len(self._guess) < end and self._clock + self._pace.draft_s <= now:
            self._clock += self._pace.draft_s
            self._guess.append(self._next())
            lacking = self._sent == self._known
            if lacking or len(self._guess) in (end, self._sent + self._pace.run):
                runs.append(self._send())
        if len(self._guess) >= end:
            self._clock = max(self._clock, now)
        return runs

    def _next(self) -> int:
        place = len(self._guess)
        true = self._truth[place]
        if self._wrong_from is None and self._random.random() < self._acceptance:
            return true
        if self._wrong_from is None:
            self._wrong_from = place
        return (true + self._random.randrange(1, self._vocabulary)) % self._vocabulary

    def _send(self) -> tuple[float, int, list[int], list[int]]:
        position, self._sent = self._sent, len(self._guess)
        before = self._guess[max(0, position - BEFORE) : position]
        arrives = self._clock + self._pace.round_trip_s / 2
        return arrives, position, self._guess[position:], before
