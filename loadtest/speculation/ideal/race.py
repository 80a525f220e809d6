"""One answer in the ideal race of a drafting device and a verifier that never waits.

The device drafts from the moment in which it sends the request, from its best guess, and sends
each token as soon as it has it. The request and each draft reach the verifier half a round trip
later. A step of the verifier confirms the drafts that are there when it begins, as far as they are
right, and adds one token of its own, of which the device learns half a round trip after the step.
Where that contradicts the device's guess, it begins anew from there at once.

Nothing else costs time: no rows of drafts, no frames, no second guesses. So the race is an upper
bound for every device, link and verifier of these times, and no figure to be reached exactly.

Since nobody waits for anything but those times, an answer needs no queue of events: each token is
drafted when the text before it is known to the device, from its own draft or from the verifier.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from loadtest.speculation.ideal.agreement import Agreement, Agreements, draw

ANSWERS = 400
"""Answers that are drawn for an expectation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RaceTimes:
    """What takes time, in seconds, and the most draft tokens that a step confirms.

    `step_s` is a step of the verifier without drafts, `drafted_step_s` one that is ready for them
    (at least as long; None: as long). `draft_s` is the device's time for a token, `round_trip_s`
    the link's. `first_s` is from the request's arrival to the first token: reading the prompt
    (None: one step).
    """

    step_s: float
    draft_s: float
    round_trip_s: float
    per_step: int = 16
    drafted_step_s: float | None = None
    first_s: float | None = None

    @property
    def race_step_s(self) -> float:
        return self.step_s if self.drafted_step_s is None else self.drafted_step_s

    @property
    def reading_s(self) -> float:
        return self.race_step_s if self.first_s is None else self.first_s


def token_times(agreements: Agreements, times: RaceTimes) -> list[float]:
    """When the verifier has each token of an answer, in seconds after the request came to it."""
    return _Race(agreements, times).run()


def answer_speedup(agreements: Agreements, times: RaceTimes) -> float:
    """Time per token after the first without drafts, divided by that with them: 1 or more.

    A device that would lose by drafting leaves it. Raises ValueError below two tokens.
    """
    if len(agreements) < 2:
        raise ValueError(f"{len(agreements)} tokens have no time per token after the first")
    verified = token_times(agreements, times)
    alone_s = times.step_s * (len(agreements) - 1)
    return max(1.0, alone_s / (verified[-1] - verified[0]))


def ideal_speedup(
    times: RaceTimes, *, acceptance: float, second: float, lengths: Sequence[int], seed: int = 0
) -> float:
    """The median of `answer_speedup` over ANSWERS answers whose agreements are drawn.

    `lengths` are those of real answers, tokens, taken in turn. `acceptance`, `second`: see `draw`.
    """
    random = Random(seed)
    drawn = (
        draw(acceptance, second, lengths[number % len(lengths)], random)
        for number in range(ANSWERS)
    )
    return statistics.median(answer_speedup(agreements, times) for agreements in drawn)


class _Race:
    """The race of one answer, step by step. Times are the verifier's, from the request's arrival.

    `_drafted` holds when the device has drafted each token after the right text, as far as what it
    has drafted and been told leads.
    """

    def __init__(self, agreements: Agreements, times: RaceTimes) -> None:
        self._agreements = agreements
        self._times = times
        self._one_way_s = times.round_trip_s / 2
        self._verified: list[float] = []
        self._drafted: list[float] = []

    def run(self) -> list[float]:
        count, now, new = len(self._agreements), self._times.reading_s, 1
        while len(self._verified) < count:
            # Later drafts did not know yet of the tokens that are new now.
            del self._drafted[len(self._verified) + 1 :]
            self._verified += [now] * new
            self._draft()
            new = 1 + self._confirmed(now)
            now += self._times.race_step_s
        return self._verified

    def _draft(self) -> None:
        for place in range(len(self._drafted), len(self._agreements)):
            ready = self._ready(place)
            if math.isinf(ready):
                return
            self._drafted.append(ready + self._times.draft_s)

    def _ready(self, place: int) -> float:
        """When the device has the text before a token: its own guesses, or the verifier's word."""
        if place == 0:
            return -self._one_way_s
        before = place - 1
        own = self._drafted[before] if self._agreements[before].foreseen else math.inf
        if before >= len(self._verified):
            return own
        return min(own, self._verified[before] + self._one_way_s)

    def _confirmed(self, now: float) -> int:
        """How many drafts a step confirms that begins now; the last token is always its own."""
        first = len(self._verified)
        most = min(first + self._times.per_step, len(self._agreements) - 1, len(self._drafted))
        place = first
        while (
            place < most
            and self._agreements[place] is Agreement.FIRST
            and self._drafted[place] + self._one_way_s <= now
        ):
            place += 1
        return place - first
