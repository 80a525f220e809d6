"""What callers are told of their limits, in the headers that OpenAI's clients know."""

from __future__ import annotations

from functools import lru_cache

from gateway.core.access.quota import KeyUse, QuotaBucket

RateHeaders = tuple[tuple[bytes, bytes], ...]


def rate_headers(use: KeyUse, now: float) -> RateHeaders:
    """The limits of requests and of tokens that there are; of tokens the minute's, else the
    day's."""
    told: RateHeaders = ()
    if (requests := use.requests) is not None:
        told = _headers(_REQUESTS, requests, now)
    if (tokens := use.tokens or use.day_tokens) is not None:
        told += _headers(_TOKENS, tokens, now)
    return told


def duration(seconds: float) -> str:
    """As OpenAI writes it: `120ms`, `1s`, `8.64s`, `6m0s`, `1h2m3s`; rounded up to milliseconds."""
    milliseconds = -int(-seconds * 1000 // 1)
    if milliseconds < 1000:
        return _SHORT[milliseconds] if milliseconds > 0 else "0s"
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    whole, fraction = divmod(rest, 1000)
    text = f"{whole}.{fraction:03d}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text


# Written out, as they are told with each answer.
_SHORT = ("0s", *(f"{milliseconds}ms" for milliseconds in range(1, 1000)))


@lru_cache(4096)
def _limit(name: bytes, limit: float) -> tuple[bytes, bytes]:
    return name, b"%d" % limit


def _names(what: str) -> tuple[bytes, bytes, bytes]:
    limit, remaining, reset = (f"x-ratelimit-{name}-{what}" for name in _KINDS)
    return limit.encode(), remaining.encode(), reset.encode()


_KINDS = ("limit", "remaining", "reset")
_REQUESTS, _TOKENS = _names("requests"), _names("tokens")


def _headers(names: tuple[bytes, bytes, bytes], bucket: QuotaBucket, now: float) -> RateHeaders:
    limit, remaining, reset = names
    left = bucket.available(now)
    return (
        _limit(limit, bucket.limit),
        (remaining, b"%d" % left if left > 0.0 else b"0"),
        (reset, duration(bucket.reset_s(now)).encode()),
    )
