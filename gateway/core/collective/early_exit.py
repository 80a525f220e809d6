"""When the answers so far are enough, so that nobody needs to wait for the others."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from gateway.core.collective.answers import AGREES, agreement
from gateway.core.collective.voting import Agree, Ballot, vote

MIN_AGREEING = 2


class Exit(StrEnum):
    """AGREED: so many agree that the others need not be heard. DECIDED: the others could not
    change the outcome of the vote, or the choice by likelihood."""

    AGREED = "agreed"
    DECIDED = "decided"


def early_exit(
    ballots: Sequence[Ballot],
    outstanding: float,
    *,
    quorum: int,
    agreement: float,
    decisive: bool,
    best_heard: bool = True,
    agree: Agree = agreement,
) -> Exit | None:
    """`outstanding` is the most weight that those still expected can bring.

    `agreement`: the share of the ballots' weight that must agree, with `quorum` ballots and two at
    least. `decisive`: the outcome is a vote, so that a lead which can't be caught up ends it.
    `best_heard`: none of those still expected fits better than the best of those that answered;
    else agreement is enough only where it outweighs all that is outstanding.
    """
    if not ballots:
        return None
    verdict = vote(ballots, agree)
    # What is outstanding could all go to the runner-up, or to an answer that nobody gave yet.
    ahead = verdict.support > verdict.runner_up + outstanding
    agreed = len(ballots) >= max(quorum, MIN_AGREEING) and verdict.share >= agreement - 1e-9
    # Two that know little and err alike shall not silence the one that was asked for its skill.
    if agreed and (best_heard or ahead):
        return Exit.AGREED
    if decisive and outstanding > 0.0 and ahead:
        return Exit.DECIDED
    return None


def could_agree(
    ballots: Sequence[Ballot],
    winner: Ballot,
    outstanding: float,
    share: float,
    agree: Agree = agreement,
) -> bool:
    """Whether an answer other than `winner`'s may yet have `share` of all weight behind it."""
    if share < 1.0 and any(ballot.reading.key is None for ballot in ballots):
        # Texts agree in part, so that one like the winner's may gather more behind it than that.
        return True
    verdict = vote(ballots, agree)
    same = agree(verdict.winner.reading, winner.reading) >= AGREES
    most = verdict.runner_up if same else verdict.support
    return most + outstanding >= share * (verdict.total + outstanding) - 1e-9
