from __future__ import annotations

import asyncio

import pytest

from gateway.adapters.endpoints.live import LiveEndpoints
from gateway.core.tier import Tier
from gateway.core.types import Endpoint, EndpointState, Limits, PoolState, Probe, ServedModel
from tests.unit.gateway.build import LIMITS

pytestmark = pytest.mark.anyio


def endpoint(name: str, pool: str = "edge") -> Endpoint:
    return Endpoint(id=name, url=f"http://{name}", pool=pool, tier=Tier.EDGE, probe=Probe.ENGINE)


def found(*names: str) -> list[tuple[Endpoint, Limits]]:
    return [(endpoint(name), LIMITS) for name in names]


def ids(endpoints: LiveEndpoints) -> list[str]:
    return [state.endpoint.id for state in endpoints.states()]


def by_id(endpoints: LiveEndpoints, name: str) -> EndpointState:
    return next(state for state in endpoints.states() if state.endpoint.id == name)


async def test_what_is_found_stands_beside_what_is_fixed() -> None:
    endpoints = LiveEndpoints([EndpointState(endpoint=endpoint("fixed:1"), limits=LIMITS)], [])
    endpoints.replace(found("a:1", "b:1"))
    assert ids(endpoints) == ["fixed:1", "a:1", "b:1"]
    changes = endpoints.replace(found("b:1", "c:1"))
    assert ids(endpoints) == ["fixed:1", "b:1", "c:1"]
    assert [state.endpoint.id for state in changes.arrived] == ["c:1"]
    assert [state.endpoint.id for state in changes.departed] == ["a:1"]


async def test_a_snapshot_that_was_taken_stays_as_it_was() -> None:
    endpoints = LiveEndpoints([], [])
    endpoints.replace(found("a:1"))
    taken = endpoints.states()
    assert endpoints.states() is taken
    endpoints.replace(found("b:1"))
    assert [state.endpoint.id for state in taken] == ["a:1"]


async def test_one_that_stays_keeps_what_is_known_of_it() -> None:
    endpoints = LiveEndpoints([], [])
    endpoints.replace(found("a:1"))
    state = by_id(endpoints, "a:1")
    state.healthy, state.in_flight = True, 3
    endpoints.replace(found("a:1", "b:1"))
    assert by_id(endpoints, "a:1") is state and state.healthy


async def test_one_that_comes_back_while_it_is_at_work_is_counted_on_and_looked_at_anew() -> None:
    endpoints = LiveEndpoints([], [])
    endpoints.replace(found("a:1"))
    state = by_id(endpoints, "a:1")
    state.healthy, state.in_flight = True, 2
    endpoints.replace([])
    assert endpoints.states() == () and list(endpoints.leaving()) == [state]
    changes = endpoints.replace(found("a:1"))
    assert list(changes.arrived) == [state]
    assert (state.in_flight, state.healthy) == (2, False)
    assert endpoints.leaving() == []


async def test_one_that_leaves_is_forgotten_with_its_last_request() -> None:
    endpoints = LiveEndpoints([], [])
    endpoints.replace(found("a:1"))
    state = by_id(endpoints, "a:1")
    state.in_flight = 1
    endpoints.replace([])
    endpoints.mark_failed("a:1", "refused")
    state.in_flight = 0
    assert endpoints.leaving() == []


async def test_one_that_moves_to_another_pool_is_another() -> None:
    endpoints = LiveEndpoints([], [])
    endpoints.replace(found("a:1"))
    before = by_id(endpoints, "a:1")
    changes = endpoints.replace([(endpoint("a:1", "other"), LIMITS)])
    assert by_id(endpoints, "a:1").endpoint.pool == "other"
    assert list(changes.departed) == [before]


async def test_who_waits_is_woken_by_the_next_that_comes_up_and_its_pool_learns_its_models() -> (
    None
):
    pool = PoolState(name="edge", tier=Tier.EDGE, models=frozenset({"named"}))
    endpoints = LiveEndpoints([], [pool])
    endpoints.replace(found("a:1"))
    waiting = asyncio.create_task(endpoints.wait_for_slot(lambda _: False))
    await asyncio.sleep(0)
    state = by_id(endpoints, "a:1")
    state.models = {"rill-edge": ServedModel("rill-edge")}
    endpoints.up(state)
    await asyncio.wait_for(waiting, 5)
    assert pool.models == {"named", "rill-edge"}


async def test_a_pool_that_is_found_goes_with_its_slices_and_a_configured_one_stays() -> None:
    configured = PoolState(name="edge", tier=Tier.EDGE, hold_s=30.0)
    endpoints = LiveEndpoints([], [configured])
    labels = frozenset({"rill-edge"})
    endpoints.replace_pools(
        [
            PoolState(name="edge", tier=Tier.EDGE, labels=labels),
            PoolState(name="more", tier=Tier.CLOUD),
        ]
    )
    assert [pool.name for pool in endpoints.pools()] == ["edge", "more"]
    assert endpoints.pools()[0] is configured and configured.labels == labels
    endpoints.replace_pools([])
    assert list(endpoints.pools()) == [configured]


async def test_a_pool_that_is_labelled_anew_moves_to_that_tier_unless_one_is_configured() -> None:
    endpoints = LiveEndpoints([], [PoolState(name="edge", tier=Tier.EDGE)])
    endpoints.replace_pools(
        [
            PoolState(name="edge", tier=Tier.EDGE),
            PoolState(name="more", tier=Tier.EDGE),
        ]
    )
    more = endpoints.pools()[1]
    more.held = 2
    endpoints.replace_pools(
        [
            PoolState(name="edge", tier=Tier.CLOUD),
            PoolState(name="more", tier=Tier.CLOUD),
        ]
    )
    assert [pool.tier for pool in endpoints.pools()] == [Tier.EDGE, Tier.CLOUD]
    assert endpoints.pools()[1] is more and more.held == 2


async def test_a_place_that_becomes_free_wakes_the_first_who_takes_it_and_nobody_else() -> None:
    endpoints = LiveEndpoints([EndpointState(endpoint=endpoint("a:1"), limits=LIMITS)], [])
    state = by_id(endpoints, "a:1")
    endpoints.slot_freed(state)
    choosy = asyncio.create_task(endpoints.wait_for_slot(lambda _: False))
    first, second = (asyncio.create_task(endpoints.wait_for_slot(lambda _: True)) for _ in range(2))
    await asyncio.sleep(0)
    endpoints.slot_freed(state)
    assert await asyncio.wait_for(first, 5) is state
    assert not choosy.done() and not second.done()
    # Woken, and cancelled before it ran: the place is the next one's.
    third = asyncio.create_task(endpoints.wait_for_slot(lambda _: True))
    await asyncio.sleep(0)
    endpoints.slot_freed(state)
    second.cancel()
    assert await asyncio.wait_for(third, 5) is state
    choosy.cancel()
    await asyncio.gather(choosy, second, return_exceptions=True)
