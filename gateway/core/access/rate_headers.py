"""What callers are told of their limits, in the headers that OpenAI's clients know."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.access.quota import KeyUse

RateHeaders = Sequence[tuple[bytes, bytes]]


def rate_headers(use: KeyUse, now: float) -> RateHeaders:
    """The limits of requests and of tokens that there are; of tokens the minute's, else the
    day's."""
    told: list[tuple[bytes, bytes]] = []
    tokens = use.tokens or use.day_tokens
    for (limit, remaining, reset), bucket in ((_REQUESTS, use.requests), (_TOKENS, tokens)):
        if bucket is not None:
            # Written out, as each request runs it, mostly when it is in no cache of the processor.
            left = bucket.available(now)
            full_in_ms = -int(-1000 * (bucket.limit - left) / bucket.per_s // 1)
            told += (
                (limit, bucket.limit_text),
                (remaining, str(int(left)).encode() if left > 0.0 else b"0"),
                (reset, _SHORT[full_in_ms] if full_in_ms < 1000 else duration(full_in_ms)),
            )
    return told


def duration(milliseconds: int) -> bytes:
    """As OpenAI writes it: `120ms`, `1s`, `8.64s`, `6m0s`, `1h2m3s`."""
    if milliseconds < 1000:
        return _SHORT[milliseconds]
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    whole, fraction = divmod(rest, 1000)
    text = f"{whole}.{fraction:03d}".rstrip("0").rstrip(".") + "s"
    if hours:
        text = f"{hours}h{minutes}m{text}"
    elif minutes:
        text = f"{minutes}m{text}"
    return text.encode()


_SHORT = (b"0s", *(b"%dms" % milliseconds for milliseconds in range(1, 1000)))


def _names(what: str) -> tuple[bytes, bytes, bytes]:
    limit, remaining, reset = (f"x-ratelimit-{name}-{what}" for name in _KINDS)
    return limit.encode(), remaining.encode(), reset.encode()


_KINDS = ("limit", "remaining", "reset")
_REQUESTS, _TOKENS = _names("requests"), _names("tokens")
