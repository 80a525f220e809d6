"""How many second tries are allowed: so that a failing pool is not hit harder for failing."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.bounded_dict import BoundedDict
from gateway.core.token_bucket import TokenBucket

MAX_CALLERS = 4096
FAULTS = 10.0
"""The tries that a caller has in reserve for requests which fail at several engines."""
FAULTS_PER_S = 10.0 / 60.0


@dataclass(slots=True, kw_only=True)
class RetryBudget:
    """The budget of retries that all requests share. A bucket that each request fills by `ratio`
    and each charged retry drains by one.

    So charged retries stay below `ratio` of the traffic in the long run; `reserve` of them are
    free, for quiet times. `max_attempts` bounds the tries of one request that reached an engine,
    the first included, charged or not.

    A retry is charged where it may make things worse: after a timeout, which has cost an engine its
    work, and at an endpoint that fails requests itself. One that goes from an endpoint that fails
    at once to one that is sound costs what the request would have cost anyway, so it is not: an
    endpoint that breaks fails all that it held in one moment, before it can be ejected, and they
    all have to find another. A second opinion on a refusal is charged once it has agreed, and is
    not asked for where nothing is left.
    """

    ratio: float
    max_attempts: int
    reserve: float = 10.0
    _tokens: float | None = None

    def request_started(self) -> None:
        self._tokens = min(self.reserve, self._remaining() + self.ratio)

    def allow_retry(self, attempts: int, *, charged: bool = True) -> bool:
        """True, and the budget is charged, if a request may try again after `attempts` tries."""
        if attempts >= self.max_attempts:
            return False
        if not charged:
            return True
        if self._remaining() < 1.0:
            return False
        self._tokens = self._remaining() - 1.0
        return True

    def allow_opinion(self, attempts: int) -> bool:
        """True if another engine may be asked whether it refuses the same request, too."""
        return attempts < self.max_attempts and self._remaining() >= 1.0

    def charge(self) -> None:
        """For what has cost more than its request had to."""
        self._tokens = max(0.0, self._remaining() - 1.0)

    def _remaining(self) -> float:
        return self.reserve if self._tokens is None else self._tokens


class FaultBudgets:
    """The budget of each caller for requests that fail at one engine after the other.

    Such a failure may be the request's own fault: an engine answers 500 to what it can't compute. A
    further try costs another engine the same, so it is charged to the caller once the engines
    agree, and who has spent its budget gets one engine's word for such a request. What fails by an
    engine's own fault is answered by the next one, and costs nothing. Of the latest
    `MAX_CALLERS` callers it is known what they have left. Times are seconds on any clock that does
    not go back.
    """

    def __init__(self) -> None:
        self._buckets: BoundedDict[str, TokenBucket] = BoundedDict(MAX_CALLERS)

    def allow(self, caller: str, now: float) -> bool:
        """Whether another engine may be asked for a request that has failed at one."""
        bucket = self._buckets.get(caller)
        return bucket is None or bucket.has(1.0, now)

    def charge(self, caller: str, tries: int, now: float) -> None:
        """As many further tries of one request have failed like the first."""
        bucket = self._buckets.get(caller)
        if bucket is None:
            bucket = self._buckets[caller] = TokenBucket(burst=FAULTS, per_s=FAULTS_PER_S)
        if not bucket.spend(tries, now):
            bucket.spend(1.0, now)
