"""How many second tries are allowed: so that a failing pool is not hit harder for failing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class RetryBudget:
    """The budget of retries that all requests share. A bucket that each request fills by `ratio`
    and each retry drains by one.

    So retries stay below `ratio` of the traffic in the long run; `reserve` retries are free, for
    quiet times. `max_attempts` bounds the tries of one request that reached an engine, the first
    included.
    """

    ratio: float
    max_attempts: int
    reserve: float = 10.0
    _tokens: float | None = None

    def request_started(self) -> None:
        self._tokens = min(self.reserve, self._remaining() + self.ratio)

    def allow_retry(self, attempts: int) -> bool:
        """True, and the budget is charged, if a request may try again after `attempts` tries."""
        if attempts >= self.max_attempts or self._remaining() < 1.0:
            return False
        self._tokens = self._remaining() - 1.0
        return True

    def _remaining(self) -> float:
        return self.reserve if self._tokens is None else self._tokens
