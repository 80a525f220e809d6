"""Requests that wait for a pool that was scaled to zero and is waking up.

A request that no endpoint can take now waits for the first endpoint of an empty pool, for the
pool's `hold_s` seconds at most. It goes on waiting while the endpoints that have come up are full.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from gateway.core.ports import Clock, EndpointSource
from gateway.core.routing.empty_pools import empty_pools
from gateway.core.routing.policies import VIRTUAL_MODELS
from gateway.core.routing.routing import RETRY_AFTER_S, Choice
from gateway.core.types import EndpointState, InferenceRequest, PoolState
from gateway.core.upstream_errors import deadline_exceeded
from gateway.errors import (
    GatewayError,
    InvalidRequest,
    NoEndpoint,
    Overloaded,
    UnknownModel,
)


class WakeQueue:
    """The requests that wait for an endpoint of an empty pool, `max_held` at most over all pools.

    `family` lists models, smallest first.
    """

    def __init__(
        self, *, endpoints: EndpointSource, family: Sequence[str], clock: Clock, max_held: int
    ) -> None:
        self._endpoints = endpoints
        self._family = family
        self._clock = clock
        self._max_held = max_held
        self._held = 0

    async def wait(
        self,
        request: InferenceRequest,
        refusal: GatewayError,
        choose: Callable[[], Choice],
        held_s: float = 0.0,
    ) -> Choice:
        """Call `choose` again whenever an endpoint has come up or has a free place, until it gives
        a choice. `refusal` is the error that it raised before; `held_s` are the seconds that the
        request has waited here already.

        Raises the refusal when there is no pool to wait for; NoEndpoint when no endpoint came up in
        time; Overloaded when those that did stayed full, or when too many requests wait;
        DeadlineExceeded; and an error of `choose` that waiting can't change.
        """
        pools = self._pools_to_wait_for(request, refusal)
        if not pools:
            raise refusal
        pool = pools[0]
        if pool.hold_s <= 0:
            raise _no_endpoint_now(pool)
        if self._held >= self._max_held:
            raise Overloaded(
                f"too many requests wait for an endpoint of pool {pool.name} already",
                retry_after=RETRY_AFTER_S,
                code="overloaded",
            )
        self._held += 1
        pool.held += 1
        try:
            return await self._wait_for(pool, request, choose, pool.hold_s - held_s)
        finally:
            pool.held -= 1
            self._held -= 1

    def _pools_to_wait_for(
        self, request: InferenceRequest, refusal: GatewayError
    ) -> Sequence[PoolState]:
        """The empty pools that could take the request. Those that hold requests come first, and
        both kinds are in the order of the request's preference."""
        may_change = isinstance(refusal, NoEndpoint | Overloaded | UnknownModel)
        if not may_change and refusal.code != "demand_not_met":
            return ()
        states, now = self._endpoints.states(), self._clock.now()
        pools = empty_pools(request, self._endpoints.pools(), states, self._family, now)
        if isinstance(refusal, NoEndpoint | Overloaded):
            # The refusal tells the caller more than "the pool has no endpoint now" does, so only a
            # pool that holds requests is of use.
            pools = [pool for pool in pools if pool.hold_s > 0]
        return sorted(pools, key=lambda pool: pool.hold_s <= 0)

    async def _wait_for(
        self,
        pool: PoolState,
        request: InferenceRequest,
        choose: Callable[[], Choice],
        seconds: float,
    ) -> Choice:
        is_usable = _usable_by(request)
        remaining = request.remaining_s(self._clock.now())
        deadline_first = remaining is not None and remaining < seconds
        if remaining is not None:
            seconds = min(remaining, seconds)
        overloaded: Overloaded | None = None
        try:
            async with asyncio.timeout(seconds):
                while True:
                    freed = await self._endpoints.wait_for_slot(is_usable)
                    try:
                        return self._choose(choose, freed)
                    except Overloaded as error:
                        overloaded = error
                    except (NoEndpoint, UnknownModel):
                        overloaded = None
                    except InvalidRequest as error:
                        if error.code != "demand_not_met":
                            raise
        except TimeoutError:
            if deadline_first:
                raise deadline_exceeded("an endpoint came up") from None
            if overloaded is not None:
                raise overloaded from None
            raise _no_endpoint_in_time(pool) from None

    def _choose(self, choose: Callable[[], Choice], freed: EndpointState | None) -> Choice:
        """`freed` has the free place that this request was woken for. If it chooses another
        endpoint, the next request is woken for that place."""
        choice = choose()
        if freed is not None and choice.state is not freed:
            self._endpoints.slot_freed(freed)
        return choice


def _usable_by(request: InferenceRequest) -> Callable[[EndpointState], bool]:
    """Tells whether a free place at an endpoint is of use to the request."""
    model, max_tier, privacy = request.model, request.demands.max_tier, request.privacy
    any_model = model in VIRTUAL_MODELS

    def is_usable(state: EndpointState) -> bool:
        tier = state.endpoint.tier
        allowed = privacy.allows(tier) and (max_tier is None or tier.rank <= max_tier.rank)
        return allowed and state.healthy and (any_model or model in state.models)

    return is_usable


def _no_endpoint_now(pool: PoolState) -> NoEndpoint:
    return NoEndpoint(
        f"pool {pool.name} has no endpoint now; see /ready for the cause",
        retry_after=RETRY_AFTER_S,
        code="no_endpoint",
    )


def _no_endpoint_in_time(pool: PoolState) -> NoEndpoint:
    return NoEndpoint(
        f"pool {pool.name} got no endpoint within {pool.hold_s:g} s; try again in a moment",
        retry_after=RETRY_AFTER_S,
        code="no_endpoint",
    )
