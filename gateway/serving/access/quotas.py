"""The quotas of this replica's callers: what each key has used, and who may still enter."""

from __future__ import annotations

from contextlib import nullcontext
from types import TracebackType

from gateway.core.access.key import Identity
from gateway.core.access.quota import KeyUse, QuotaRefusal, RequestUse
from gateway.core.access.rate_headers import RateHeaders, rate_headers
from gateway.core.bounded_dict import BoundedDict
from gateway.core.ports import Clock
from gateway.errors import QuotaExceeded, QuotaSpent, RequestRateExceeded, TokenRateExceeded

MAX_USES = 65_536


class KeyQuotas:
    """What each key has left here, by its identity's `owner`. All in memory: nobody waits. Of
    callers that an issuer or a proxy names, who are without number, the latest are known.
    `remembered`: tokens of the day that keys had used before this process began, and when, on the
    clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.uses: BoundedDict[str, KeyUse] = BoundedDict(MAX_USES)
        self.remembered: dict[str, tuple[float, float]] = {}

    def use(self, identity: Identity) -> KeyUse:
        """What the key has left."""
        use = self.uses.get(identity.owner)
        if use is None:
            use = self.uses[identity.owner] = KeyUse(identity.quotas)
            before = self.remembered.pop(identity.owner, None)
            if before is not None and use.day_tokens is not None:
                used, use.day_tokens.at = before
                use.day_tokens.level = use.day_tokens.limit - used
            return use
        self.uses.move_to_end(identity.owner)
        if use.quotas is not identity.quotas:
            use.change(identity.quotas)
        return use

    def enter(self, identity: Identity, tokens: int, used: RequestUse) -> Permit:
        """Let a request in that is expected to need `tokens`; `used` will tell what it used. The
        permit must be closed. Raises QuotaExceeded."""
        use, now = self.use(identity), self._clock.now()
        if (refusal := use.enter(tokens, now)) is not None:
            raise _exceeded(identity.key, refusal)
        told = rate_headers(use, now)
        return Permit(use=use, clock=self._clock, tokens=tokens, used=used, rate_headers=told)

    def day_use(self) -> dict[str, float]:
        """Tokens of the day that keys have used, by owner; those that have used none are left
        out."""
        now = self._clock.now()
        used = {
            name: use.day_tokens.limit - use.day_tokens.available(now)
            for name, use in self.uses.items()
            if use.day_tokens is not None
        }
        return {name: tokens for name, tokens in used.items() if tokens > 0}

    def headers(self, identity: Identity) -> RateHeaders:
        """What a caller is told of its limits now."""
        return rate_headers(self.use(identity), self._clock.now())


class Permit:
    """A request's place in its key's quotas, for as long as the block runs; blocks may be nested,
    and may end in any order. At the end of the last one, whatever ends it, what the request used
    takes the place of what was expected. `rate_headers`: what the caller is told of its limits."""

    __slots__ = ("_blocks", "_clock", "_tokens", "_use", "_used", "rate_headers")

    def __init__(
        self,
        *,
        use: KeyUse,
        clock: Clock,
        tokens: int,
        used: RequestUse,
        rate_headers: RateHeaders,
    ) -> None:
        self.rate_headers = rate_headers
        self._use = use
        self._clock = clock
        self._tokens = tokens
        self._used = used
        self._blocks = 0

    def __enter__(self) -> None:
        self._blocks += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._blocks -= 1
        if self._blocks:
            return
        self._use.leave(self._tokens, self._used, self._clock.now())


class NoPermit(nullcontext[None]):
    """What a request has in place of a Permit that no quota binds, or that was not let in."""

    def __init__(self, rate_headers: RateHeaders = ()) -> None:
        super().__init__()
        self.rate_headers = rate_headers


def _exceeded(key: str, refusal: QuotaRefusal) -> QuotaExceeded:
    quota, limit, wait_s = refusal.quota, refusal.limit, refusal.wait_s
    if quota == "tokens_per_day":
        return QuotaSpent(
            f"the key {key} has used up its tokens per day (limit {limit})",
            retry_after=wait_s,
            code="insufficient_quota",
        )
    if quota == "tokens_per_min":
        return TokenRateExceeded(
            f"rate limit reached for the key {key}: tokens per minute (limit {limit})",
            retry_after=wait_s,
            code="rate_limit_exceeded",
        )
    what = "requests in flight" if quota == "in_flight" else "requests per minute"
    return RequestRateExceeded(
        f"rate limit reached for the key {key}: {what} (limit {limit})",
        retry_after=wait_s,
        code="rate_limit_exceeded",
    )
