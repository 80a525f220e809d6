"""The early exit: when the answers so far are enough, the others are not waited for."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from gateway.core.collective.answers import AGREES, agreement
from gateway.core.collective.voting import Agree, Ballot, vote

MIN_AGREEING = 2


class Exit(StrEnum):
    """The reason of an early exit. AGREED: so many members agree that the others need not be heard.
    DECIDED: the others could not change the vote, or the choice by likelihood."""

    AGREED = "agreed"
    DECIDED = "decided"


def early_exit(
    ballots: Sequence[Ballot],
    outstanding: float,
    *,
    quorum: int,
    agreement: float,
    decisive: bool,
    best_answered: bool = True,
    agree: Agree = agreement,
) -> Exit | None:
    """The reason to end the round now; None: there is none.

    `outstanding`: the largest weight that the answers to come can have together. `agreement`: the
    share of the ballots' weight that must agree; it takes `quorum` ballots, and two at least.
    `decisive`: the outcome is a vote, so that a lead that can't be caught up ends it.
    `best_answered`: no member that still works fits better than the best that answered. Else
    agreement is enough only where it outweighs all that is outstanding.
    """
    if not ballots:
        return None
    result = vote(ballots, agree)
    # All that is outstanding could go to the runner-up, or to an answer that none has given yet.
    ahead = result.support > result.runner_up + outstanding
    agreed = len(ballots) >= max(quorum, MIN_AGREEING) and result.share >= agreement - 1e-9
    # Two members that fit badly and make the same mistake must not outvote the one that fits well.
    if agreed and (best_answered or ahead):
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
    """Whether an answer other than `winner`'s may still get `share` of all weight."""
    if share < 1.0 and any(ballot.reading.key is None for ballot in ballots):
        # Long texts agree in part: one similar to the winner's may get more support than it.
        return True
    result = vote(ballots, agree)
    same = agree(result.winner.reading, winner.reading) >= AGREES
    support = result.runner_up if same else result.support
    return support + outstanding >= share * (result.total + outstanding) - 1e-9
