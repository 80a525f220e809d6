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
class Candidate:
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


def candidates(ballots: Sequence[Ballot]) -> list[Candidate]:
    """The distinct answers, in the order of `ballots`; of more than `MAX_CANDIDATES` the first."""
    first: dict[str, Ballot] = {}
    weights: dict[str, float] = {}
    for ballot in ballots:
        # A text without a final answer is like no other.
        key = ballot.reading.key or f"{ballot.voter}\0"
        first.setdefault(key, ballot)
        weights[key] = weights.get(key, 0.0) + ballot.weight
    return [Candidate(first[key], weights[key]) for key in first][:MAX_CANDIDATES]


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
    ballots: Sequence[Ballot], weighed: Weighed, outstanding: float = 0.0
) -> Candidate | None:
    """The answer that wins whatever those not in `weighed` would score, or None.

    `outstanding`: the most weight that answers still expected can bring, to one of these or to
    another. A tie goes to the first of `ballots`.
    """
    found = candidates(ballots)
    short = mostly_short(ballots)
    best, lead = None, -math.inf
    for one in found:
        if (values := weighed.get(one.text)) is not None:
            # Answers to come may change what is short; the sum is the lower of the two.
            least = likelihood(values, short=short or outstanding > 0.0) + one.most
            if least > lead:
                best, lead = one, least
    if best is None or (outstanding > 0.0 and math.log(outstanding) >= lead):
        return None
    place = found.index(best)
    for other, one in enumerate(found):
        if one is best:
            continue
        values = weighed.get(one.text, (0.0,))
        most = likelihood(values, short=short and outstanding <= 0.0)
        most += math.log(one.weight + outstanding)
        unsure = one.text not in weighed or outstanding > 0.0
        if most > lead or (most == lead and unsure and (other < place or outstanding > 0.0)):
            return None
    return best


def to_weigh(ballots: Sequence[Ballot], weighed: Weighed) -> list[Candidate]:
    """What to weigh now, the likeliest to win first: nothing where the winner is certain.

    While nothing is weighed, only answers `CLOSE` to the heaviest; then all that can still win.
    """
    found = candidates(ballots)
    short = mostly_short(ballots)
    scores = [
        likelihood(weighed[one.text], short=short) + one.most
        for one in found
        if one.text in weighed
    ]
    least = max(scores) if scores else max(one.most for one in found) - CLOSE
    open_ = [one for one in found if one.text not in weighed and one.most >= least]
    return sorted(open_, key=lambda one: -one.weight)
