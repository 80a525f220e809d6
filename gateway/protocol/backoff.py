"""The back-off: how long either end of a link waits before its next try of what failed. Pure."""

from __future__ import annotations

MAX_DOUBLINGS = 30


def pause_s(failures: int, uniform: float, *, first_s: float, longest_s: float) -> float:
    """Seconds after that many failures in a row (from 1), doubled by each up to `longest_s`.

    `uniform` from 0 to 1 spreads the tries of many that lost the same thing together: from half of
    the pause to all of it ("equal jitter"; M. Brooker, Exponential Backoff And Jitter, 2015).
    """
    whole = min(longest_s, first_s * 2.0 ** min(max(failures, 1) - 1, MAX_DOUBLINGS))
    return whole * (0.5 + 0.5 * uniform)
