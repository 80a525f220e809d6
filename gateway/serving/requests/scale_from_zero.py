"""Requests that wait for a pool that was scaled to zero and wakes for them.

They wait for its first endpoint, and go on waiting while the ones that came up are full.
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
    """Holds `max_held` requests at most, over all pools."""

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
        """Try `choose` again whenever an endpoint came up or has a place, after `refusal`.

        `held_s`: seconds that it has been held already, which count.

        Raises the refusal when no pool is worth waiting for, NoEndpoint when none came up in time,
        Overloaded when those that did stayed full or too many wait, DeadlineExceeded; what `choose`
        raises when waiting longer can't help.
        """
        pools = self._worth_waiting(request, refusal)
        if not pools:
            raise refusal
        pool = pools[0]
        if pool.hold_s <= 0:
            raise _empty(pool)
        if self._held >= self._max_held:
            raise Overloaded(
                f"too many requests wait for an endpoint of pool {pool.name} already",
                retry_after=RETRY_AFTER_S,
                code="overloaded",
            )
        self._held += 1
        pool.held += 1
        try:
            return await self._until_up(request, pool, choose, pool.hold_s - held_s)
        finally:
            pool.held -= 1
            self._held -= 1

    def _worth_waiting(
        self, request: InferenceRequest, refusal: GatewayError
    ) -> Sequence[PoolState]:
        """Those that hold requests come first, each kind in the order of preference."""
        may_pass = isinstance(refusal, NoEndpoint | Overloaded | UnknownModel)
        if not may_pass and refusal.code != "demand_not_met":
            return ()
        states, now = self._endpoints.states(), self._clock.now()
        pools = empty_pools(request, self._endpoints.pools(), states, self._family, now)
        if isinstance(refusal, NoEndpoint | Overloaded):
            # These say it better than that a pool is empty, so only holding changes anything.
            pools = [pool for pool in pools if pool.hold_s > 0]
        return sorted(pools, key=lambda pool: pool.hold_s <= 0)

    def _chosen(self, choose: Callable[[], Choice], place: EndpointState | None) -> Choice:
        """What was chosen. The `place` that it was woken for is the next one's if not used."""
        choice = choose()
        if place is not None and choice.state is not place:
            self._endpoints.freed(place)
        return choice

    async def _until_up(
        self,
        request: InferenceRequest,
        pool: PoolState,
        choose: Callable[[], Choice],
        seconds: float,
    ) -> Choice:
        takes, full = _takes(request), None
        remaining = request.remaining_s(self._clock.now())
        late = remaining is not None and remaining < seconds
        if remaining is not None:
            seconds = min(remaining, seconds)
        try:
            async with asyncio.timeout(seconds):
                while True:
                    place = await self._endpoints.place(takes)
                    try:
                        return self._chosen(choose, place)
                    except Overloaded as error:
                        full = error
                    except (NoEndpoint, UnknownModel):
                        full = None
                    except InvalidRequest as error:
                        if error.code != "demand_not_met":
                            raise
        except TimeoutError:
            if late:
                raise deadline_exceeded("an endpoint came up") from None
            if full is not None:
                raise full from None
            raise _not_in_time(pool) from None


def _takes(request: InferenceRequest) -> Callable[[EndpointState], bool]:
    """Would a place at this endpoint be of use to it?"""
    model, tier = request.model, request.demands.max_tier
    any_model = model in VIRTUAL_MODELS

    def takes(state: EndpointState) -> bool:
        near = tier is None or state.endpoint.tier.rank <= tier.rank
        return near and state.healthy and (any_model or model in state.models)

    return takes


def _empty(pool: PoolState) -> NoEndpoint:
    return NoEndpoint(
        f"pool {pool.name} has no endpoint now; see /ready for the cause",
        retry_after=RETRY_AFTER_S,
        code="no_endpoint",
    )


def _not_in_time(pool: PoolState) -> NoEndpoint:
    return NoEndpoint(
        f"pool {pool.name} got no endpoint within {pool.hold_s:g} s; try again in a moment",
        retry_after=RETRY_AFTER_S,
        code="no_endpoint",
    )
