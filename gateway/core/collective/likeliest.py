"""Which answer is the likeliest, told as soon as it is certain.

An answer's score is its log-probability under a model plus the logarithm of the weight that gave
it: two opinions on the same thing. As no log-probability is above 0, an answer that is not weighed
yet scores at most the logarithm of its weight, so that a lead over that ends the search: what wins
is what would win if all were weighed and everybody heard (branch and bound).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.core.collective.voting import Ballot

MAX_CANDIDATES = 8
CLOSE = 1.0
"""Answers whose weight is less by more than this (natural logarithm) win only where the heaviest is
an unlikely one: they are weighed after it."""

Weighed = Mapping[str, Sequence[float]]
"""By text: the natural log-probability of each of its tokens, one at least."""


@dataclass(frozen=True, slots=True)
class DistinctAnswer:
    """The first ballot of those with the same final answer, and the weight of all of them."""

    ballot: Ballot
    weight: float

    @property
    def text(self) -> str:
        return self.ballot.reading.text

    @property
    def most(self) -> float:
        """The score that it has if it is certain."""
        return math.log(self.weight)


def candidates(ballots: Sequence[Ballot]) -> list[DistinctAnswer]:
    """The distinct answers, in the order of `ballots`; of more than `MAX_CANDIDATES` the first."""
    first: dict[str, Ballot] = {}
    weights: dict[str, float] = {}
    for ballot in ballots:
        # A text without a final answer is like no other.
        key = ballot.reading.key or f"{ballot.voter}\0"
        first.setdefault(key, ballot)
        weights[key] = weights.get(key, 0.0) + ballot.weight
    return [DistinctAnswer(first[key], weights[key]) for key in first][:MAX_CANDIDATES]


def mostly_short(ballots: Sequence[Ballot]) -> bool:
    """Whether half the weight at least names a final answer: one talkative member, or a liar, shall
    not change how the others are weighed."""
    short = sum(ballot.weight for ballot in ballots if ballot.reading.key is not None)
    return 2 * short >= sum(ballot.weight for ballot in ballots)


def likelihood(values: Sequence[float], *, short: bool) -> float:
    """Natural log-probability: of the whole where answers are `short`, per token where they are
    long, since there the length would decide."""
    return sum(values) if short else sum(values) / len(values)


def likeliest(
    ballots: Sequence[Ballot], weighed: Weighed, expected: Sequence[float] = ()
) -> DistinctAnswer | None:
    """The answer that wins whatever those not in `weighed` would score, or None.

    `ballots`: best first; a tie goes to the first. `expected`: the most weight that each of the
    answers to come can have, which may say the same as one of these or something else.
    """
    found = candidates(ballots)
    leader = _leader(ballots, found, weighed, sure=not expected)
    if leader is None:
        return None
    best, lead = leader
    if expected and not _settled(found, best, lead, expected):
        return None
    short = mostly_short(ballots)
    for one in found:
        if one is best:
            continue
        # A heavier member would put its own words in the place of those that were weighed.
        known = one.text in weighed and one.ballot.weight >= max(expected, default=0.0)
        values = weighed[one.text] if known else (0.0,)
        most = likelihood(values, short=short and not expected)
        most += math.log(one.weight + sum(expected))
        before = bool(expected) or (not known and found.index(one) < found.index(best))
        if most > lead or (most == lead and before):
            return None
    return best


def _leader(
    ballots: Sequence[Ballot], found: Sequence[DistinctAnswer], weighed: Weighed, *, sure: bool
) -> tuple[DistinctAnswer, float] | None:
    """Of those weighed the best, with what it scores at least. Unless `sure`, answers to come may
    change what is short, and the sum is the lower of the two."""
    short = mostly_short(ballots) or not sure
    scores = [
        (one, likelihood(weighed[one.text], short=short) + one.most)
        for one in found
        if one.text in weighed
    ]
    return max(scores, key=lambda scored: scored[1], default=None)


def _settled(
    found: Sequence[DistinctAnswer], best: DistinctAnswer, lead: float, expected: Sequence[float]
) -> bool:
    """Whether no answer to come can take the words of the best from it, push it out of those that
    are weighed at all, or beat it with something new."""
    return (
        max(expected) <= best.ballot.weight
        and len(found) + len(expected) <= MAX_CANDIDATES
        and math.log(sum(expected)) < lead
    )


def to_weigh(ballots: Sequence[Ballot], weighed: Weighed) -> list[DistinctAnswer]:
    """What to weigh now, the likeliest to win first; nothing where `likeliest` knows the winner.

    While nothing is weighed, only answers `CLOSE` to the heaviest; then all that can still win.
    """
    found = candidates(ballots)
    leader = _leader(ballots, found, weighed, sure=True)
    least = max(one.most for one in found) - CLOSE if leader is None else leader[1]
    open_ = [one for one in found if one.text not in weighed and one.most >= least]
    return sorted(open_, key=lambda one: -one.weight)
