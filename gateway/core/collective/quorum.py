"""How many answers a round needs, and how long it waits for more than that."""

from __future__ import annotations

import math


def needed(asked: int, quorum: int | None, share: float) -> int:
    """Answers that are enough: `quorum` as given, else `share` of those asked, rounded up."""
    if quorum is not None:
        return quorum
    return max(1, math.ceil(asked * share - 1e-9))


def grace_ends(
    began: float, met: float, grace: float, deadline: float, best_by: float = 0.0
) -> float:
    """Once the quorum is met the others have `grace` times what it took, so that members of equal
    speed are all heard and slow ones are not waited for.

    `best_by`: when one that fits better than all who answered is expected, 0: there is none. Its
    answer is worth that wait.
    """
    return min(deadline, max(met + grace * (met - began), best_by))


def step_deadline(now: float, deadline: float, steps: int) -> float:
    """The end of the next of `steps` rounds that share the time until `deadline` equally."""
    return now + max(0.0, deadline - now) / max(1, steps)
