"""The `EndpointSource` port: fixed endpoints, and beside them those that come and go."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import structlog

from gateway.adapters.endpoints.waiters import EndpointWaiters
from gateway.core.types import Endpoint, EndpointState, Limits, PoolState

log = structlog.get_logger("tierflow.endpoints")


@dataclass(frozen=True, slots=True)
class Changes:
    """The endpoints that came and went."""

    arrived: Sequence[EndpointState]
    departed: Sequence[EndpointState]


class LiveEndpoints:
    """The endpoints, listed and discovered, with their states. Everything here runs in one event
    loop.

    `states` is a tuple that `replace` swaps as a whole, so whoever reads it needs no lock.
    """

    def __init__(self, fixed: Sequence[EndpointState], pools: Iterable[PoolState]) -> None:
        self._fixed = tuple(fixed)
        self._configured = {pool.name: pool for pool in pools}
        self._named = {pool.name: pool.models for pool in self._configured.values()}
        self._found: dict[str, EndpointState] = {}
        self._leaving: dict[str, EndpointState] = {}
        self._states = self._fixed
        self._pools = tuple(self._configured.values())
        self._by_id = {state.endpoint.id: state for state in self._fixed}
        self._waiters = EndpointWaiters()

    def states(self) -> Sequence[EndpointState]:
        return self._states

    def pools(self) -> Sequence[PoolState]:
        return self._pools

    def mark_failed(self, endpoint_id: str, problem: str) -> None:
        state = self._by_id.get(endpoint_id)
        # One that has left meanwhile is out already.
        if state is not None and state.healthy:
            self.down(state, problem)

    def down(self, state: EndpointState, problem: str) -> None:
        """It is out of use: say so, and move the requests that wait there."""
        state.healthy, state.problem = False, problem
        log.warning(
            "endpoint_down",
            endpoint=state.endpoint.id,
            pool=state.endpoint.pool,
            problem=problem,
        )
        state.lost()

    async def wait_for_slot(self, usable: Callable[[EndpointState], bool]) -> EndpointState | None:
        return await self._waiters.wait(usable)

    def slot_freed(self, state: EndpointState) -> None:
        if self._waiters.waiting:
            self._waiters.wake_one(state)

    def up(self, state: EndpointState) -> None:
        """It turned healthy: note what its pool serves, and wake who waits."""
        state.health.restarted()
        log.info("endpoint_up", endpoint=state.endpoint.id, pool=state.endpoint.pool)
        for pool in self._pools:
            if pool.name == state.endpoint.pool:
                pool.models = self._named.get(pool.name, frozenset()) | set(state.models)
        self._waiters.wake_all()

    def replace(self, listed: Iterable[tuple[Endpoint, Limits]]) -> Changes:
        """From now on these are the endpoints beside the fixed ones.

        One that stays keeps its state, and so does one that comes back while requests are still
        at work there.
        """
        before = self._found
        self._leaving = {state.endpoint.id: state for state in self.leaving()}
        self._found = {}
        for endpoint, limits in listed:
            state = before.get(endpoint.id)
            if state is None or state.endpoint != endpoint:
                state = self._come(endpoint, limits)
            self._found[endpoint.id] = state
        arrived = [s for id, s in self._found.items() if before.get(id) is not s]
        departed = [s for id, s in before.items() if self._found.get(id) is not s]
        self._leaving |= {state.endpoint.id: state for state in departed if state.in_flight}
        self._states = (*self._fixed, *self._found.values())
        self._by_id = {state.endpoint.id: state for state in self._states}
        return Changes(arrived, departed)

    def replace_pools(self, listed: Iterable[PoolState]) -> None:
        """The pools that were found; those that are configured as well only learn their labels.

        One that was found before keeps what is counted and known of it, under its tier of now.
        """
        pools = dict(self._configured)
        known = {pool.name: pool for pool in self._pools}
        for new in listed:
            pool = pools[new.name] = known.get(new.name, new)
            pool.labels = new.labels
            if new.name not in self._configured:
                pool.tier = new.tier
        self._pools = tuple(pools.values())

    def leaving(self) -> Sequence[EndpointState]:
        """Endpoints that are in no list any more, and still have requests to finish."""
        return [state for state in self._leaving.values() if state.in_flight]

    def _come(self, endpoint: Endpoint, limits: Limits) -> EndpointState:
        state = self._leaving.pop(endpoint.id, None)
        if state is None or state.endpoint != endpoint:
            return EndpointState(endpoint=endpoint, limits=limits)
        state.healthy, state.problem = False, "not seen yet"
        return state
