"""Votes on answers: each answer has the support of those that agree with it.

With short answers this is the plurality vote. With long texts the one that is closest to all others
wins (the medoid, as in minimum Bayes risk decoding).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from gateway.core.collective.answers import AGREES, Reading, agreement

LEAST_CONFIDENCE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Ballot:
    """One answer in a vote. `voter` tells ballots apart; `weight` is above 0. `finish_reason` says
    whether the answer came to its end."""

    voter: str
    reading: Reading
    weight: float = 1.0
    finish_reason: str = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteResult:
    """The result of a vote: the winner and its support, the support of the best answer that does
    not agree with it (`runner_up`), and the weight of all ballots (`total`)."""

    winner: Ballot
    support: float
    runner_up: float
    total: float

    @property
    def share(self) -> float:
        """The share of all weight that agrees with the winner."""
        return self.support / self.total if self.total else 0.0

    @property
    def disagreement(self) -> bool:
        return self.runner_up > 0.0


class Agreements:
    """A memory of how much readings agree. A vote is held after every answer, and no two readings
    are compared twice."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], float] = {}

    def __call__(self, one: Reading, other: Reading) -> float:
        key = (one.text, other.text)
        if key not in self._known:
            self._known[key] = self._known[key[::-1]] = agreement(one, other)
        return self._known[key]


Agree = Callable[[Reading, Reading], float]


def vote(ballots: Sequence[Ballot], agree: Agree = agreement) -> VoteResult:
    """The vote of one ballot at least. A tie goes to the heavier, then to the earlier ballot."""
    agreed = [[agree(a.reading, b.reading) for b in ballots] for a in ballots]
    support = [sum(r * b.weight for r, b in zip(row, ballots, strict=True)) for row in agreed]
    best = max(range(len(ballots)), key=lambda i: (support[i], ballots[i].weight, -i))
    others = [support[i] for i in range(len(ballots)) if agreed[best][i] < AGREES]
    total = sum(ballot.weight for ballot in ballots)
    return VoteResult(
        winner=ballots[best], support=support[best], runner_up=max(others, default=0.0), total=total
    )


def best_first(ballots: Sequence[Ballot]) -> list[Ballot]:
    """The ballots by weight; of equal ones the earlier comes first."""
    return sorted(ballots, key=lambda ballot: -ballot.weight)


def unweighted(ballots: Sequence[Ballot]) -> list[Ballot]:
    """The ballots with a weight of 1 each."""
    return [replace(ballot, weight=1.0) for ballot in ballots]


def confidence(logprob: float | None) -> float:
    """The confidence, 0 to 1, that a mean log-probability per token tells; 0.5 where none is
    known."""
    if logprob is None or not math.isfinite(logprob):
        return 0.5
    return max(LEAST_CONFIDENCE, math.exp(min(0.0, logprob)))
