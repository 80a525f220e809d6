"""Leases of more devices than the store takes in one call."""

from __future__ import annotations

import asyncio

import pytest

from gateway.core.devices.grant import Grant
from gateway.core.state import bounds
from gateway.core.state.operations import Held, Release
from gateway.serving.devices import leases
from gateway.serving.devices.replicas.messages import decode_lease
from tests.unit.gateway.serving.devices.device_rig import until
from tests.unit.gateway.serving.devices.replica_rig import FakeDevice, Replica, device, replicas

pytestmark = pytest.mark.anyio

AT_ONCE = 2
MANY = 5


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_OPERATIONS", AT_ONCE)


async def many(replica: Replica) -> list[FakeDevice]:
    replica.store.refuses = lambda operations: len(operations) > AT_ONCE
    return [await device(replica, None, Grant(device=f"phone-{n}")) for n in range(MANY)]


async def beats(replica: Replica) -> dict[str, int]:
    """How often each lease has been renewed."""
    (held,) = await replica.store.run(Held("device"))
    found = {name: decode_lease(value) for name, value in held.items()}
    return {name: lease.beat for name, lease in found.items() if lease is not None}


async def test_all_are_renewed_in_calls_that_the_store_takes() -> None:
    async with replicas(2, started=False) as (here, there):
        await many(here)
        await here.leases.turn()
        assert await beats(there) == {f"phone-{n}": 1 for n in range(MANY)}


async def test_leases_are_renewed_also_where_reading_all_of_them_fails() -> None:
    async with replicas(2, started=False) as (here, there):
        await many(here)
        here.store.refuses = lambda operations: Held("device") in operations
        await here.leases.turn()
        assert await beats(there) == {f"phone-{n}": 1 for n in range(MANY)}
        (living,) = await there.store.run(Held("replica"))
        assert set(living) == {here.members.replica}


async def test_the_next_turn_renews_what_one_turn_could_not() -> None:
    async with replicas(2, started=False) as (here, there):
        await many(here)
        calls = list[int]()

        def third_of_holds(operations: object) -> bool:
            assert isinstance(operations, tuple)
            if any(getattr(operation, "kind", "") == "device" for operation in operations):
                calls.append(len(operations))
            return len(calls) == 3  # After the look and one slice.

        here.store.refuses = third_of_holds
        await here.leases.turn()
        assert sorted((await beats(there)).values()) == [0, 0, 0, 1, 1]
        await here.leases.turn()
        assert all((await beats(there)).values())


async def test_leases_of_devices_that_leave_are_given_up_at_once_without_reading_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(leases, "REFRESH_S", 3600.0)
    async with replicas(2, started=False) as (here, there):
        phones = await many(here)
        running = asyncio.create_task(here.leases.run())
        await until(lambda: here.members.own() and all_held(here))
        here.store.ran.clear()
        for phone in phones:
            await phone.leave()
        await until(lambda: len(here.store.ran) == MANY)
        assert all(isinstance(operation, Release) for operation in here.store.ran)
        assert await beats(there) == {}
        running.cancel()


def all_held(replica: Replica) -> bool:
    return all(device.beat for _, device in replica.members.own()) and not any(
        device.changed for _, device in replica.members.own()
    )


async def test_a_replica_that_stops_gives_up_all_of_them() -> None:
    async with replicas(2, started=False) as (here, there):
        await many(here)
        await here.leases.stop()
        assert await beats(there) == {}
