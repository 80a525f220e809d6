"""Which pools are down, and which are only asleep or not looked at yet."""

from __future__ import annotations

from gateway.core.endpoints.down_pools import down_pools
from gateway.core.tier import Tier
from gateway.core.types import EndpointState, PoolState
from tests.unit.gateway.build import state

EDGE = PoolState(name="edge", tier=Tier.EDGE)
ASLEEP = PoolState(name="edge", tier=Tier.EDGE, hold_s=60.0)


def looked_at(name: str, *, healthy: bool) -> EndpointState:
    found = state(name)
    found.seen, found.healthy = True, healthy
    return found


def test_a_pool_is_down_where_nothing_is_there_or_nothing_is_healthy() -> None:
    dead = [looked_at("edge:1", healthy=False), looked_at("edge:2", healthy=False)]
    assert down_pools([], [EDGE]) == {"edge": "no endpoint"}
    assert down_pools(dead, [EDGE]) == {"edge": "none of its 2 endpoints is healthy"}
    assert down_pools([*dead, looked_at("edge:3", healthy=True)], [EDGE]) == {}


def test_an_empty_pool_that_holds_requests_is_asleep_and_one_with_dead_endpoints_is_down() -> None:
    assert down_pools([], [ASLEEP]) == {}
    assert "edge" in down_pools([looked_at("edge:1", healthy=False)], [ASLEEP])


def test_an_endpoint_that_nobody_has_looked_at_yet_may_be_well() -> None:
    new = state("edge:2")
    new.seen, new.healthy = False, False
    assert down_pools([looked_at("edge:1", healthy=False), new], [EDGE]) == {}
