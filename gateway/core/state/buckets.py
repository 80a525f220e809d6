"""Token buckets: spend at once up to a burst, refilled at a steady rate."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gateway.core.state.decision import Decision
from gateway.core.state.operations import Spend

ROUNDING = 1e-9
"""Of an amount: who waits exactly as long as told must not be told to wait a moment more."""


@dataclass(frozen=True, slots=True)
class BucketLevel:
    """`level` was in it at the time `at`."""

    level: float
    at: float
    until: float


def spend(bucket: BucketLevel | None, wanted: Spend, now: float) -> Decision[BucketLevel]:
    """A full bucket is not kept: one that is not there is full."""
    burst, amount = wanted.burst, wanted.amount
    level = burst
    if bucket is not None:
        level = min(burst, bucket.level + max(now - bucket.at, 0.0) * wanted.per_s)
    if level + ROUNDING * burst >= amount:
        level = min(burst, max(level - amount, 0.0))
        return _kept(level, wanted, now, 0.0)
    wait = math.inf if amount > burst else (amount - level) / wanted.per_s
    return _kept(level, wanted, now, wait)


def _kept(level: float, wanted: Spend, now: float, wait: float) -> Decision[BucketLevel]:
    if level >= wanted.burst:
        return Decision(None, 0.0, wait)
    until = now + (wanted.burst - level) / wanted.per_s
    return Decision(BucketLevel(level, now, until), until, wait)
