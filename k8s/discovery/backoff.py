"""How long to wait before the next try."""

from __future__ import annotations

FIRST_S, LONGEST_S = 0.2, 10.0


def pause_s(failures: int, chance: float) -> float:
    """Seconds after that many failures in a row (from 1), doubling up to LONGEST_S.

    `chance` from 0 to 1 spreads the tries of many gateways that lost one API server together:
    from half of the pause to all of it.
    """
    whole = min(LONGEST_S, FIRST_S * 2.0 ** min(failures - 1, 30))
    return whole * (0.5 + 0.5 * chance)
