"""What callers are told of their limits, in the headers that OpenAI's clients know."""

from __future__ import annotations

from functools import lru_cache

from gateway.core.access.quota import KeyUse, QuotaBucket

RateHeaders = tuple[tuple[bytes, bytes], ...]


def rate_headers(use: KeyUse, now: float) -> RateHeaders:
    """The limits of requests and of tokens that there are; of tokens the minute's, else the
    day's."""
    requests, tokens = use.requests, use.tokens or use.day_tokens
    told = () if requests is None else _headers(_REQUESTS, requests, now)
    return told if tokens is None else told + _headers(_TOKENS, tokens, now)


def duration(seconds: float) -> bytes:
    """As OpenAI writes it: `120ms`, `1s`, `8.64s`, `6m0s`, `1h2m3s`; rounded up to milliseconds."""
    milliseconds = -int(-seconds * 1000 // 1)
    if milliseconds < 1000:
        return _SHORT[milliseconds] if milliseconds > 0 else b"0s"
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    whole, fraction = divmod(rest, 1000)
    text = f"{whole}.{fraction:03d}".rstrip("0").rstrip(".") + "s"
    if hours:
        text = f"{hours}h{minutes}m{text}"
    elif minutes:
        text = f"{minutes}m{text}"
    return text.encode()


# Written out, as they are told with each answer.
_SHORT = (b"0s", *(b"%dms" % milliseconds for milliseconds in range(1, 1000)))


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
    full_in_s = (bucket.limit - left) / bucket.per_s
    return (
        _limit(limit, bucket.limit),
        (remaining, b"%d" % left if left > 0.0 else b"0"),
        (reset, duration(full_in_s)),
    )
