"""Outlier ejection: an endpoint that fails requests is left alone for a while, then tried again.

What Envoy calls by this name, and others passive health checking or a circuit breaker: the requests
themselves show which endpoint fails. It sees what no health check sees, such as an engine that says
it is well and answers every question with an error.

    in use -> ejected: `consecutive_failures` in a row, or `failure_share` of what was sent lately
    ejected -> trial: when its pause is over, one request at a time tries it
    trial -> ejected: it failed again, and the next pause is twice as long
    trial -> slow start: it answered; its share of the requests grows to the full one

Nothing here refuses a request: when every endpoint is ejected, the routing tries them all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from gateway.protocol.backoff import pause_s

DOUBT_DEPTH, MAX_DOUBTS, SHARE_DEPTH = 4.0, 5, 10.0
"""So many requests that wait does each failure since the last success count for, up to as many of
them, and a share of failures of 1."""
FIRST_SHARE = 0.1
"""The share of its usual requests that an endpoint gets at the beginning of its slow start."""
FADE_S = 10.0
"""Seconds after which what failures count for has faded to 1/e: an endpoint that nobody asks any
more gets its next chance."""
FORGOTTEN = 0.05
"""Less than so much of a failure counts as none."""
LONGEST_BUSY_S = 60.0
"""An engine may ask to be left alone for as long; after it, it is asked again in any case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EjectionRule:
    """The rule by which endpoints are ejected.

    An endpoint is ejected after `consecutive_failures` without a success between them, or when
    `failure_share` (0 to 1) of its requests failed and there were `min_requests` of them; requests
    of `window_s` seconds ago count for 1/e. The first pause lasts `first_pause_s` seconds, each
    further one twice as long, up to `longest_pause_s`; an endpoint that has been well for that long
    begins anew. After a pause its share of the requests grows over `slow_start_s` seconds.
    """

    consecutive_failures: int
    failure_share: float
    min_requests: float
    window_s: float
    first_pause_s: float
    longest_pause_s: float
    slow_start_s: float


class Standing(StrEnum):
    """What requests have shown of an endpoint.

    BUSY: it has asked to be left alone. TRIAL: its pause is over, and single requests try it.
    """

    GOOD = "good"
    BUSY = "busy"
    EJECTED = "ejected"
    TRIAL = "trial"
    SLOW_START = "slow_start"


@dataclass(slots=True, kw_only=True)
class PassiveHealth:
    """What requests have shown of one endpoint, and whether it is ejected for it.

    Times are seconds on a clock that does not go back; one that did would only make a pause longer
    or shorter. `cause` is the code of the failure that ejected it last. Whoever sends a request
    there calls `begin`, and then one of `succeed`, `fail` and `abandon` with what `begin` gave.

    `spotless`: nothing has spoken against it for a while. That is nearly always so, and then
    nothing needs to be reckoned: requests are counted from the first failure on.
    """

    spotless: bool = True
    ejected: bool = False
    ejected_until: float = 0.0
    cause: str = ""
    doubts: int = 0
    _consecutive: int = 0
    _succeeded: float = 0.0
    _failed: float = 0.0
    _counted_at: float = 0.0
    _doubted_at: float = -math.inf
    _ejections: int = 0
    _trials: int = 0
    _returned_at: float = -math.inf
    _slow_until: float = -math.inf
    _busy_until: float = -math.inf

    def standing(self, now: float) -> Standing:
        if self.ejected:
            return Standing.EJECTED if now < self.ejected_until else Standing.TRIAL
        if now < self._busy_until:
            return Standing.BUSY
        return Standing.SLOW_START if now < self._slow_until else Standing.GOOD

    def admits(self, now: float) -> bool:
        """Whether another request may be sent there, as long as other endpoints may be asked."""
        if self.spotless:
            return True
        if self.ejected:
            return now >= self.ejected_until and self._trials == 0
        return now >= self._busy_until

    def sound(self, now: float) -> bool:
        """Whether nothing speaks against it now: it is in full use, and did not fail last."""
        return self._consecutive == 0 and not self.ejected and now >= self._busy_until

    def share(self, now: float) -> float:
        """Of the requests that it would get otherwise, from 0 to 1: below 1 in its slow start."""
        if now >= self._slow_until:
            return 1.0
        whole = max(1e-9, self._slow_until - self._returned_at)
        return max(FIRST_SHARE, min(1.0, (now - self._returned_at) / whole))

    def depth(self, now: float) -> float:
        """The requests that its failures count for as if they waited there: an endpoint that fails
        fast is idle, and must not look good for that."""
        if self.spotless:
            return 0.0
        share = self._failed / (self._succeeded + self._failed + 1.0)
        depth = DOUBT_DEPTH * min(self.doubts, MAX_DOUBTS) + SHARE_DEPTH * share
        return depth * math.exp(-max(0.0, now - self._doubted_at) / FADE_S)

    def problem(self, now: float) -> str:
        """For the operator; "" where it is in use."""
        match self.standing(now):
            case Standing.EJECTED:
                seconds = self.ejected_until - now
                return (
                    f"ejected: its requests failed ({self.cause}); tried again in {seconds:.1f} s"
                )
            case Standing.TRIAL:
                return f"ejected: its requests failed ({self.cause}); single requests try it now"
            case Standing.BUSY:
                return f"asks to be left alone for another {self._busy_until - now:.1f} s"
        return ""

    def begin(self) -> bool:
        """A request is sent there; True where it tries an endpoint that is ejected."""
        if not self.ejected:
            return False
        self._trials += 1
        return True

    def abandon(self, trial: bool) -> None:
        """The request ended without showing anything of the endpoint: its caller left."""
        if trial:
            self._trials -= 1

    def doubt(self, now: float) -> None:
        """A request failed there; whether that is the endpoint's fault or the request's own is not
        known yet."""
        self.spotless = False
        self.doubts += 1
        self._doubted_at = now

    def succeed(self, trial: bool, rule: EjectionRule, now: float) -> bool:
        """True where the endpoint returns from its ejection by this.

        An answer to a request that was sent before the ejection does not undo it.
        """
        self.abandon(trial)
        if self.spotless:
            return False
        self._decay(rule, now)
        self._succeeded += 1.0
        self._consecutive = self.doubts = 0
        if not (trial and self.ejected):
            self._clear(now)
            return False
        self.ejected = False
        self._succeeded, self._failed = 1.0, 0.0
        self._returned_at, self._slow_until = now, now + rule.slow_start_s
        return True

    def fail(
        self,
        trial: bool,
        rule: EjectionRule,
        cause: str,
        now: float,
        uniform: Callable[[], float],
    ) -> float | None:
        """The seconds of the pause, where the endpoint is ejected by this failure; else None.

        Failures of requests that were sent before the ejection, or while every endpoint was
        ejected, do not lengthen the pause: only a trial after it does.
        """
        self.abandon(trial)
        self.spotless = False
        self._decay(rule, now)
        self._failed += 1.0
        self._consecutive += 1
        self.doubts, self._doubted_at = max(self.doubts, self._consecutive), now
        if self.ejected:
            return self._eject(rule, cause, now, uniform) if now >= self.ejected_until else None
        counted = self._succeeded + self._failed
        in_a_row = self._consecutive >= rule.consecutive_failures
        often = counted >= rule.min_requests and self._failed >= rule.failure_share * counted
        return self._eject(rule, cause, now, uniform) if in_a_row or often else None

    def restarted(self) -> None:
        """It was down, and is up again: what requests have shown was of the process before. The
        next ejection is as long as it would have been."""
        if self.ejected:
            self.ejected, self._returned_at = False, self.ejected_until
        self._consecutive = self.doubts = 0
        self._failed = 0.0

    def busy(self, trial: bool, seconds: float, now: float) -> None:
        """The engine asks to be left alone for so long; it is well otherwise."""
        self.abandon(trial)
        self.spotless = False
        self._busy_until = max(self._busy_until, now + min(LONGEST_BUSY_S, max(0.0, seconds)))

    def _eject(
        self, rule: EjectionRule, cause: str, now: float, uniform: Callable[[], float]
    ) -> float:
        if not self.ejected and now - self._returned_at >= rule.longest_pause_s:
            self._ejections = 0
        self._ejections += 1
        pause = pause_s(
            self._ejections, uniform(), first_s=rule.first_pause_s, longest_s=rule.longest_pause_s
        )
        self.ejected, self.ejected_until, self.cause = True, now + pause, cause
        return pause

    def _clear(self, now: float) -> None:
        """What was against it is over and forgotten."""
        busy_or_slow = now < max(self._busy_until, self._slow_until)
        if self._failed < FORGOTTEN and not self.ejected and not busy_or_slow:
            self.spotless = True
            self._succeeded = self._failed = 0.0

    def _decay(self, rule: EjectionRule, now: float) -> None:
        """What was counted before fades; sums of events that fade are a rate."""
        kept = math.exp(-max(0.0, now - self._counted_at) / rule.window_s)
        self._succeeded *= kept
        self._failed *= kept
        self._counted_at = max(now, self._counted_at)
