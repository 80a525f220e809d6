"""Requests that wait for a pool's first endpoint: a pool that was scaled to zero wakes for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from gateway.core.ports import Clock, EndpointSource
from gateway.core.routing.empty_pools import empty_pools
from gateway.core.routing.routing import RETRY_AFTER_S, Choice
from gateway.core.types import InferenceRequest, PoolState
from gateway.errors import (
    DeadlineExceeded,
    GatewayError,
    InvalidRequest,
    NoEndpoint,
    Overloaded,
    UnknownModel,
)


class Holding:
    """Holds `max_held` requests at most, over all pools."""

    def __init__(
        self, endpoints: EndpointSource, family: Sequence[str], clock: Clock, max_held: int
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
        """Try `choose` again whenever an endpoint came up, after it refused with `refusal`.

        `held_s`: seconds that it has been held already, which count.

        Raises the refusal when no pool is worth waiting for, NoEndpoint when none came up in time,
        Overloaded, DeadlineExceeded; what `choose` raises when waiting longer can't help.
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

    async def _until_up(
        self,
        request: InferenceRequest,
        pool: PoolState,
        choose: Callable[[], Choice],
        seconds: float,
    ) -> Choice:
        late, deadline = False, request.demands.deadline_s
        if deadline is not None:
            left = max(0.0, deadline - (self._clock.now() - request.received))
            late = left < seconds
            seconds = min(left, seconds)
        try:
            async with asyncio.timeout(seconds):
                while True:
                    await self._endpoints.came_up()
                    try:
                        return choose()
                    except (NoEndpoint, UnknownModel):
                        continue
                    except InvalidRequest as error:
                        if error.code != "demand_not_met":
                            raise
        except TimeoutError:
            if late:
                raise _deadline_exceeded() from None
            raise _not_in_time(pool) from None


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


def _deadline_exceeded() -> DeadlineExceeded:
    return DeadlineExceeded(
        "the deadline in x-tierflow-deadline-ms passed before an endpoint came up",
        param="x-tierflow-deadline-ms",
        code="deadline_exceeded",
    )
