"""What callers are told of their limits, in the headers that OpenAI's clients know."""

from __future__ import annotations

from gateway.core.access.quota import KeyUse, QuotaBucket

RateHeaders = tuple[tuple[bytes, bytes], ...]


def rate_headers(use: KeyUse, now: float) -> RateHeaders:
    """The limits of requests and of tokens that there are; of tokens the minute's, else the
    day's."""
    tokens = use.tokens or use.day_tokens
    return (*_headers("requests", use.requests, now), *_headers("tokens", tokens, now))


def duration(seconds: float) -> str:
    """As OpenAI writes it: `120ms`, `1s`, `8.64s`, `6m0s`, `1h2m3s`; rounded up to milliseconds."""
    milliseconds = max(0, -int(-seconds * 1000 // 1))
    if milliseconds < 1000:
        return f"{milliseconds}ms" if milliseconds else "0s"
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    whole, fraction = divmod(rest, 1000)
    text = f"{whole}.{fraction:03d}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text


_NAMES = {
    what: tuple(f"x-ratelimit-{name}-{what}".encode() for name in ("limit", "remaining", "reset"))
    for what in ("requests", "tokens")
}


def _headers(what: str, bucket: QuotaBucket | None, now: float) -> RateHeaders:
    if bucket is None:
        return ()
    limit, remaining, reset = _NAMES[what]
    return (
        (limit, b"%d" % bucket.limit),
        (remaining, b"%d" % max(0.0, bucket.available(now))),
        (reset, duration(bucket.reset_s(now)).encode()),
    )
