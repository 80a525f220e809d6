"""Scorers say how good an endpoint is, from 0 to 1. Add one: a function and a line below."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b

from gateway.core.types import EndpointState, InferenceRequest

MAX_KEY_BYTES = 64
"""blake2b takes no longer key."""

Scorer = Callable[[InferenceRequest, Sequence[EndpointState], float], list[float]]
"""(request, candidates, now) -> one score per candidate, in their order."""


def queue_depth(
    request: InferenceRequest, candidates: Sequence[EndpointState], now: float
) -> list[float]:
    """1 for the least loaded, less in proportion for the others.

    The proportion keeps one request more or less from mattering as much as a long queue does.
    """
    depths = [_depth(state, now) for state in candidates]
    low = min(depths)
    return [(1.0 + low) / (1.0 + depth) for depth in depths]


def _depth(state: EndpointState, now: float) -> float:
    """Work ahead of a new request: what waits, what we have there now, what others had there, and
    what its failures count for.

    The engine's own count of running requests is as old as the scrape, so of it only the part
    that was not ours then is used.
    """
    others = max(0, state.running - state.in_flight_at_scrape)
    return state.queue + state.in_flight + others + state.health.depth(now)


def kv_use(
    request: InferenceRequest, candidates: Sequence[EndpointState], now: float
) -> list[float]:
    """The share of the KV cache that is free."""
    return [1.0 - min(1.0, max(0.0, state.kv_use)) for state in candidates]


def prefix_affinity(
    request: InferenceRequest, candidates: Sequence[EndpointState], now: float
) -> list[float]:
    """Prompts with the same head prefer the same endpoint, whose prefix cache then holds it."""
    return _affinity(request.prefix_key, candidates)


def session_affinity(
    request: InferenceRequest, candidates: Sequence[EndpointState], now: float
) -> list[float]:
    """Requests of one session prefer the same endpoint."""
    session = request.demands.session
    return _affinity(session.encode() if session else b"", candidates)


def _affinity(key: bytes, candidates: Sequence[EndpointState]) -> list[float]:
    """1 for the key's owner, much less for each next in its order, 0 without a key.

    Rendezvous (highest random weight) hashing, Thaler and Ravishankar 1998: when an endpoint
    comes or goes only the keys that it owns move.
    """
    count = len(candidates)
    if not key or count == 1:
        return [0.0] * count
    if len(key) > MAX_KEY_BYTES:
        # Cut short, keys with the same beginning would all have the same owner.
        key = blake2b(key).digest()
    weights = [
        blake2b(state.endpoint.id.encode(), key=key, digest_size=8).digest() for state in candidates
    ]
    order = sorted(range(count), key=weights.__getitem__, reverse=True)
    scores = [0.0] * count
    for rank, index in enumerate(order):
        scores[index] = 1.0 / (1 + rank) ** 2
    return scores


SCORERS: Mapping[str, Scorer] = {
    "queue_depth": queue_depth,
    "kv_use": kv_use,
    "prefix_affinity": prefix_affinity,
    "session_affinity": session_affinity,
}
