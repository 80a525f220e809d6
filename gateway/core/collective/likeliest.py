"""The choice of the likeliest answer, made as soon as it is certain.

An answer's score is its log-probability under a model plus the logarithm of the weight of the
members that gave it: two opinions on the same answer. No log-probability is above 0, so that an
answer without a known one scores at most the logarithm of its weight. A leader that is above that
bound for all others wins, whatever the unknown log-probabilities are: the search is a branch and
bound, and its winner is the one that would win if all were scored and all members heard.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.core.collective.voting import Ballot

MAX_ANSWERS = 8
"""Distinct answers that are compared."""
CLOSE = 1.0
"""Answers whose log weight is lower than the heaviest one's by more than this are scored after it:
they win only if the model finds the heaviest answer unlikely."""

Logprobs = Mapping[str, Sequence[float]]
"""By an answer's text: the natural log-probability of each of its tokens, one at least."""


@dataclass(frozen=True, slots=True)
class DistinctAnswer:
    """The first ballot of those with the same final answer, and the weight of all of them."""

    ballot: Ballot
    weight: float

    @property
    def text(self) -> str:
        return self.ballot.reading.text

    @property
    def max_score(self) -> float:
        """Its score if the model is certain of it."""
        return math.log(self.weight)


def distinct_answers(ballots: Sequence[Ballot]) -> list[DistinctAnswer]:
    """The first `MAX_ANSWERS` distinct answers, in the order of `ballots`."""
    first: dict[str, Ballot] = {}
    weights: dict[str, float] = {}
    for ballot in ballots:
        # A text that names no final answer is distinct from every other.
        key = ballot.reading.key or f"{ballot.voter}\0"
        first.setdefault(key, ballot)
        weights[key] = weights.get(key, 0.0) + ballot.weight
    return [DistinctAnswer(first[key], weights[key]) for key in first][:MAX_ANSWERS]


def mostly_short(ballots: Sequence[Ballot]) -> bool:
    """Whether half of the weight at least names a final answer. It takes half of the weight to
    change how all answers are scored, so that one talkative or lying member can't do so."""
    short = sum(ballot.weight for ballot in ballots if ballot.reading.key is not None)
    return 2 * short >= sum(ballot.weight for ballot in ballots)


def likelihood(logprobs: Sequence[float], *, short: bool) -> float:
    """Natural log-probability: of the whole answer where answers are `short`, else the mean per
    token, as otherwise the shortest of long answers would win."""
    return sum(logprobs) if short else sum(logprobs) / len(logprobs)


def likeliest(
    ballots: Sequence[Ballot], logprobs: Logprobs, expected: Sequence[float] = ()
) -> DistinctAnswer | None:
    """The answer that wins whatever the missing log-probabilities are; None while it is open.

    `ballots`: best first; a tie goes to the first. `expected`: the largest weights of the answers
    that are still to come, each of which may agree with one of these or be a new one.
    """
    answers = distinct_answers(ballots)
    leading = _leader(ballots, answers, logprobs, final=not expected)
    if leading is None:
        return None
    leader, score = leading
    if expected and not _safe_from_newcomers(answers, leader, score, expected):
        return None
    short = mostly_short(ballots)
    for answer in answers:
        if answer is leader:
            continue
        # A heavier member's own words would replace the text whose log-probability is known.
        known = answer.text in logprobs and answer.ballot.weight >= max(expected, default=0.0)
        bound = likelihood(logprobs[answer.text] if known else (0.0,), short=short and not expected)
        bound += math.log(answer.weight + sum(expected))
        wins_ties = bool(expected) or (not known and answers.index(answer) < answers.index(leader))
        if bound > score or (bound == score and wins_ties):
            return None
    return leader


def _leader(
    ballots: Sequence[Ballot],
    answers: Sequence[DistinctAnswer],
    logprobs: Logprobs,
    *,
    final: bool,
) -> tuple[DistinctAnswer, float] | None:
    """The best of the scored answers and its least score. While more answers may come (not
    `final`), they may change whether answers are mostly short; the sum is the lower of the two
    likelihoods."""
    short = mostly_short(ballots) or not final
    scores = [
        (answer, likelihood(logprobs[answer.text], short=short) + answer.max_score)
        for answer in answers
        if answer.text in logprobs
    ]
    return max(scores, key=lambda scored: scored[1], default=None)


def _safe_from_newcomers(
    answers: Sequence[DistinctAnswer],
    leader: DistinctAnswer,
    score: float,
    expected: Sequence[float],
) -> bool:
    """Whether no answer to come can replace the leader's text, push it out of the `MAX_ANSWERS`, or
    beat it with something new."""
    return (
        max(expected) <= leader.ballot.weight
        and len(answers) + len(expected) <= MAX_ANSWERS
        and math.log(sum(expected)) < score
    )


def answers_to_score(ballots: Sequence[Ballot], logprobs: Logprobs) -> list[DistinctAnswer]:
    """The answers to score next, the heaviest first; none where `likeliest` knows the winner.

    While none is scored these are the answers `CLOSE` to the heaviest; then all that can still win.
    """
    answers = distinct_answers(ballots)
    leading = _leader(ballots, answers, logprobs, final=True)
    if leading is None:
        least = max(answer.max_score for answer in answers) - CLOSE
    else:
        least = leading[1]
    unscored = [a for a in answers if a.text not in logprobs and a.max_score >= least]
    return sorted(unscored, key=lambda answer: -answer.weight)
