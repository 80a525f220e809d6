"""What callers are told of their limits, in the headers that OpenAI's clients know."""

from __future__ import annotations

from collections.abc import Iterator

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


def _headers(what: str, bucket: QuotaBucket | None, now: float) -> Iterator[tuple[bytes, bytes]]:
    if bucket is None:
        return
    for name, value in (
        ("limit", f"{bucket.limit:.0f}"),
        ("remaining", f"{max(0, int(bucket.available(now)))}"),
        ("reset", duration(bucket.reset_s(now))),
    ):
        yield f"x-ratelimit-{name}-{what}".encode(), value.encode()
