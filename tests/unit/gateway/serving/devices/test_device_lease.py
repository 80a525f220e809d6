"""A device that comes back at another replica, which nobody tells the first one of."""

from __future__ import annotations

import pytest

from gateway.core.state.operations import Held
from gateway.protocol.device_link import work
from gateway.serving.devices.replicas.messages import decode_lease
from tests.unit.gateway.serving.devices.device_rig import until
from tests.unit.gateway.serving.devices.replica_rig import (
    FakeDevice,
    Replica,
    device,
    newcomer,
    registration,
    replicas,
)

pytestmark = pytest.mark.anyio


async def where(replica: Replica) -> str | None:
    """The replica that has the lease, as the store says."""
    (held,) = await replica.store.run(Held("device"))
    lease = decode_lease(held.get("phone"))
    return None if lease is None else lease.member.replica


async def tell(phone: FakeDevice, replica: Replica) -> None:
    """The device says something that makes its replica renew the lease."""
    phone.put(work.State(work.Condition(hot=True)))
    await until(lambda: replica.members.members()[0].condition.hot)


async def test_the_first_replica_renews_nothing_and_ends_the_older_connection() -> None:
    async with replicas(2, started=False) as (here, there):
        older = await device(here)
        newer = await device(there)
        assert newer.link.of(work.Registered)
        await tell(older, here)
        await here.leases.turn()
        assert await where(there) == there.members.replica
        await there.leases.turn()
        await older.task
        assert older.link.closed == (1008, "replaced")
        assert there.names() == {"phone"} and not newer.task.done()


async def test_a_late_release_of_the_first_replica_leaves_the_newer_lease_alone() -> None:
    async with replicas(2, started=False) as (here, there):
        phone = await device(here)
        await there.leases.turn()
        here.store.lost = there.store.lost = True
        await phone.leave()
        await here.leases.turn()
        newer = await device(there)
        here.store.lost = there.store.lost = False
        await there.leases.turn()
        await here.leases.turn()
        assert await where(there) == there.members.replica
        thief = newcomer(here, registration("another-instance"))
        await thief.task
        assert thief.errors() == ["duplicate_device"]
        await there.leases.turn()
        assert not newer.task.done()


async def test_a_device_gets_in_at_once_also_where_its_replica_has_died() -> None:
    async with replicas(2, started=False) as (here, there):
        await device(here)
        here.die()
        newer = await device(there)
        assert newer.link.of(work.Registered)
        assert await where(there) == there.members.replica


async def test_the_first_to_take_the_lease_when_the_store_is_back_keeps_the_device() -> None:
    async with replicas(2, started=False) as (here, there):
        here.store.lost = there.store.lost = True
        first, second = await device(here), await device(there)
        here.store.lost = there.store.lost = False
        for replica in (here, there, here):
            await replica.leases.turn()
        await second.task
        assert second.link.closed == (1008, "replaced")
        assert here.names() == {"phone"} and not first.task.done()


async def test_a_lease_that_could_not_be_given_up_is_kept_when_the_device_is_back() -> None:
    async with replicas(1, started=False) as (here,):
        phone = await device(here)
        await phone.leave()
        under_way = here.members.releases.pop()
        assert len(under_way) == 1
        await device(here)
        here.members.releases.put_back(under_way)
        assert here.members.releases.pop() == []
