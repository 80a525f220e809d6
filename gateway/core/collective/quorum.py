"""The quorum: how many answers a round needs, and how long it waits for the others."""

from __future__ import annotations

import math


def answers_needed(chosen: int, quorum: int | None, share: float) -> int:
    """The answers that are enough: `quorum` where it is given, else `share` (0 to 1) of those that
    were chosen, rounded up."""
    if quorum is not None:
        return quorum
    return max(1, math.ceil(chosen * share - 1e-9))


def grace_ends(
    began: float, met: float, grace: float, deadline: float, best_expected: float = 0.0
) -> float:
    """The end of a round whose quorum was `met`. The other members have `grace` times the quorum's
    time, so that members of equal speed are all heard and slow ones are not waited for.

    `best_expected`: when the answer of a member that fits better than all that have answered is
    expected (0: there is none); it is waited for. All are times on one clock.
    """
    return min(deadline, max(met + grace * (met - began), best_expected))


def step_deadline(now: float, deadline: float, steps: int) -> float:
    """The end of the next of `steps` rounds, which share the time until `deadline` equally."""
    return now + max(0.0, deadline - now) / max(1, steps)
