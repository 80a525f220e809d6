"""Which pools nobody can be sent to, and why. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gateway.core.types import EndpointState, PoolState


def down_pools(states: Iterable[EndpointState], pools: Sequence[PoolState]) -> Mapping[str, str]:
    """The reasons, by pool, in words for the operator.

    A pool without endpoints that holds requests is asleep and not down: the first request wakes
    it. An endpoint that nobody has looked at yet may turn out well.
    """
    by_pool: dict[str, list[EndpointState]] = {pool.name: [] for pool in pools}
    holding = {pool.name for pool in pools if pool.hold_s > 0}
    for state in states:
        by_pool.setdefault(state.endpoint.pool, []).append(state)
    return {
        name: f"none of its {len(members)} endpoints is healthy" if members else "no endpoint"
        for name, members in sorted(by_pool.items())
        if (members or name not in holding)
        and all(state.seen and not state.healthy for state in members)
    }
