"""What a key has left: buckets that may be overdrawn, and what is drawn from them when.

At its entry a request is charged by an estimate, at its end by what it used: the difference is
given back, or is a debt that time pays. So nobody waits for a count, and what was used counts
whatever the estimate was.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from gateway.core.access.key import Quotas
from gateway.core.token_bucket import ROUNDING

MINUTE_S, DAY_S = 60.0, 86_400.0
CHARS_PER_TOKEN = 4
"""A rough mean over tokenizers and languages."""
ANSWER_TOKENS = 256
"""What an answer is expected to have where its caller sets no limit."""

QuotaName = Literal["requests_per_min", "tokens_per_min", "tokens_per_day", "in_flight"]


def estimated_tokens(prompt_chars: int, max_tokens: int | None, answers: int) -> int:
    """What a request is charged at its entry. `answers`: how many it asks for, each of up to
    `max_tokens`."""
    answer = ANSWER_TOKENS if max_tokens is None else max_tokens
    return prompt_chars // CHARS_PER_TOKEN + answer * answers


@dataclass(slots=True, kw_only=True)
class QuotaBucket:
    """The token bucket of a quota: `limit`, refilled within `period_s` seconds. It may be
    overdrawn: what has been used is drawn, whatever is there. It begins full. Times are seconds on
    any clock that does not go back.

    Where replicas share it, each draws from its own, `undelivered` is what it has not told the
    shared one of, and `adopt` takes over the shared one's level.
    """

    quota: QuotaName
    limit: float
    period_s: float
    at: float = 0.0
    undelivered: float = 0.0
    level: float = field(init=False)
    per_s: float = field(init=False)
    limit_text: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.level = self.limit
        self.per_s = self.limit / self.period_s
        self.limit_text = b"%d" % self.limit

    def available(self, now: float) -> float:
        """What is there; below 0 in debt."""
        # Written out, as each request of a key asks several times, mostly at one moment.
        if now > self.at:
            level = self.level + (now - self.at) * self.per_s
            self.level = level if level < self.limit else self.limit
            self.at = now
        return self.level

    def draw(self, amount: float, now: float) -> None:
        """Take as much, or give it back where `amount` is below 0."""
        level = self.available(now) - amount
        self.level = level if level < self.limit else self.limit
        self.undelivered += amount

    def wait_s(self, amount: float, now: float) -> float:
        """Until there is as much: 0.0 where it is there. More than the limit is let in when the
        bucket is full, so that nobody waits for ever."""
        level = self.available(now)
        if amount <= level:
            return 0.0
        missing = min(amount, self.limit) - level
        return missing / self.per_s if missing > ROUNDING * self.limit else 0.0

    def adopt(self, level: float, delivered: float, now: float) -> None:
        """The shared bucket has `level`, from which `delivered` of what was drawn here has been
        taken."""
        self.undelivered -= delivered
        self.level = min(self.limit, level - self.undelivered)
        self.at = max(self.at, now)


@dataclass(frozen=True, slots=True)
class QuotaRefusal:
    """Which quota refuses a request, what it allows, and the seconds until it would not."""

    quota: QuotaName
    limit: int
    wait_s: float


class KeyUse:
    """What one key has left, and what it has in flight. `others_in_flight`: at other replicas.
    `used_at`: when a request last entered or ended, on the clock of `now`."""

    def __init__(self, quotas: Quotas) -> None:
        self.quotas = Quotas()
        self.requests: QuotaBucket | None = None
        self.tokens: QuotaBucket | None = None
        self.day_tokens: QuotaBucket | None = None
        self._buckets: list[tuple[QuotaBucket, bool]] = []
        """With whether it is of tokens, and not of requests."""
        self.change(quotas)
        self.in_flight = 0
        self.others_in_flight = 0
        self.used_at = float("-inf")

    def change(self, quotas: Quotas) -> None:
        """The operator has changed the quotas; a bucket whose limit stays keeps its level."""
        before, self.quotas = self.quotas, quotas
        if quotas.requests_per_min != before.requests_per_min:
            self.requests = _bucket("requests_per_min", quotas.requests_per_min, MINUTE_S)
        if quotas.tokens_per_min != before.tokens_per_min:
            self.tokens = _bucket("tokens_per_min", quotas.tokens_per_min, MINUTE_S)
        if quotas.tokens_per_day != before.tokens_per_day:
            self.day_tokens = _bucket("tokens_per_day", quotas.tokens_per_day, DAY_S)
        of_tokens = ((self.requests, False), (self.tokens, True), (self.day_tokens, True))
        self._buckets = [(bucket, each) for bucket, each in of_tokens if bucket is not None]

    def enter(self, tokens: int, now: float) -> QuotaRefusal | None:
        """Let a request in with this estimate; else nothing is drawn, and this is why."""
        limit = self.quotas.in_flight
        if limit is not None and self.in_flight + self.others_in_flight >= limit:
            return QuotaRefusal("in_flight", limit, 1.0)
        for bucket, of_tokens in self._buckets:
            amount = tokens if of_tokens else 1
            if amount > bucket.available(now) and bucket.wait_s(amount, now):
                return self._longest_wait(tokens, now)
        self.in_flight += 1
        self.used_at = now
        for bucket, of_tokens in self._buckets:
            # As `draw`, of a bucket that is up to date.
            amount = tokens if of_tokens else 1
            bucket.level -= amount
            bucket.undelivered += amount
        return None

    def _longest_wait(self, tokens: int, now: float) -> QuotaRefusal | None:
        refusals = [
            QuotaRefusal(bucket.quota, int(bucket.limit), wait_s)
            for bucket, of_tokens in self._buckets
            if (wait_s := bucket.wait_s(tokens if of_tokens else 1, now)) > 0
        ]
        # The longest wait is the one after which it may enter.
        return max(refusals, key=lambda refusal: refusal.wait_s, default=None)

    def leave(self, tokens: int, used: RequestUse, now: float) -> None:
        """A request that entered with the estimate `tokens` has ended."""
        self.in_flight -= 1
        self.used_at = now
        requests, more = max(used.engine_requests, 1) - 1, used.tokens - tokens
        for bucket, of_tokens in self._buckets:
            if amount := more if of_tokens else requests:
                bucket.draw(amount, now)


@dataclass(slots=True)
class RequestUse:
    """What one caller's request has used at servers so far, with all that the gateway asked for
    it: requests to engines, and tokens of their prompts and answers."""

    engine_requests: int = 0
    tokens: int = 0

    def add(self, tokens: int) -> None:
        """One more request to an engine has ended."""
        self.engine_requests += 1
        self.tokens += tokens


def _bucket(quota: QuotaName, limit: int | None, period_s: float) -> QuotaBucket | None:
    if limit is None:
        return None
    return QuotaBucket(quota=quota, limit=float(limit), period_s=period_s)
