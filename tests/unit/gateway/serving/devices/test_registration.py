"""Who becomes a member, who is refused, and when one is gone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.core.devices.grant import Grant
from gateway.protocol.device_link import speculation as wire
from gateway.protocol.device_link import work
from tests.unit.gateway.serving.devices.device_rig import FakeLink, opening, until
from tests.unit.gateway.serving.devices.replica_rig import (
    device,
    failure,
    newcomer,
    order,
    registration,
    replicas,
    whole,
)

pytestmark = pytest.mark.anyio

WHERE = pytest.mark.parametrize("where", [0, 1], ids=["same replica", "another replica"])


async def test_a_member_is_as_the_device_says_but_for_its_name_and_replica() -> None:
    async with replicas(2) as both:
        register = registration(
            description="knows\n\n- sums\x00",
            tags=["math"],
            owner="ann",
            condition=work.Condition(battery=0.5),
        )
        phone = await device(both[0], register)
        phone.put(wire.Ping(n=1, round_trip_s=0.02, bytes_per_s=1e6))
        assert phone.link.of(work.Registered) == [work.Registered("phone", 2)]
        await until(lambda: both[1].names())
        await until(lambda: both[0].members.members()[0].condition.round_trip_s)
        for replica in both:
            (member,) = replica.members.members()
            assert (member.id, member.owner, member.max_work) == ("phone", "ann", 2)
            assert member.description == "knows - sums"
            assert member.replica == both[0].members.replica
            assert (member.condition.battery, set(member.tags)) == (0.5, {"math"})


async def test_a_state_and_a_new_registration_are_seen_at_the_other_replica() -> None:
    async with replicas(2) as (here, there):
        phone = await device(here)
        phone.put(work.State(work.Condition(battery=0.1, hot=True)))
        await soon(lambda: there.members.members()[0].condition.hot)
        phone.put(registration(description="knows more"))
        await soon(lambda: there.members.members()[0].description == "knows more")
        assert len(phone.link.of(work.Registered)) == 2


async def test_other_replicas_see_how_much_a_device_has_to_do() -> None:
    async with replicas(2) as (here, there):
        phone = await device(here)
        assignment = here.members.assign("phone", order())
        await phone.work()
        await soon(lambda: [m.condition.working for m in there.members.members()] == [1])
        (sighting,) = there.members.sightings()
        assert sighting.lease.in_flight == 1
        assignment.cancel()
        await soon(lambda: [m.condition.working for m in there.members.members()] == [0])


async def test_a_change_of_the_work_in_flight_is_published_before_the_renewal_is_due() -> None:
    async with replicas(2, started=False) as (here, there):
        phone = await device(here)
        await here.leases.turn()

        async def seen() -> list[int]:
            await here.leases.turn()
            await there.leases.turn()
            return [member.condition.working for member in there.members.members()]

        assert await seen() == [0]
        assignment = here.members.assign("phone", order())
        await phone.work()
        assert await seen() == [1]
        assignment.cancel()
        assert await seen() == [0]


@WHERE
async def test_the_same_process_takes_over_and_the_older_ones_work_is_lost(where: int) -> None:
    async with replicas(2) as both:
        older = await device(both[0])
        assignment = both[0].members.assign("phone", order())
        await older.work()
        newer = await device(both[where])
        assert newer.link.of(work.Registered)
        assert await failure(assignment) == "lost"
        await older.task
        assert older.link.closed == (1008, "replaced")
        again = both[0].members.assign("phone", order())
        given = await newer.work()
        newer.put(
            work.Piece(given.w, "7", 1),
            work.Finished(w=given.w, reason="stop", prompt_tokens=1, completion_tokens=1),
        )
        assert (await whole(again))[0] == "7"
        # Nothing of the older one's end touches the newer one's lease.
        await both[0].leases.turn()
        await both[1].leases.turn()
        assert [replica.names() for replica in both] == [{"phone"}, {"phone"}]


@WHERE
async def test_another_process_with_the_token_is_refused_while_the_lease_lives(where: int) -> None:
    async with replicas(2) as both:
        phone = await device(both[0])
        thief = newcomer(both[where], registration("another-instance"))
        await thief.task
        assert thief.errors() == ["duplicate_device"]
        assert both[where].telemetry.registrations[-1] == "duplicate_device"
        assignment = both[1].members.assign("phone", order())
        given = await phone.work()
        phone.put(work.Finished(w=given.w, reason="stop", prompt_tokens=1, completion_tokens=1))
        await whole(assignment)


@WHERE
async def test_a_connection_that_drafts_under_a_registered_name_is_refused(
    where: int,
) -> None:
    async with replicas(2) as both:
        phone = await device(both[0])
        await until(lambda: both[1].names())
        link = FakeLink(wire.Hello(wire.VERSION), wire.Ping(n=1), opening())
        await both[where].connect(link, Grant(device="phone"))
        assert link.closed == (1008, "duplicate_device")
        assert not phone.task.done()


async def test_a_registered_device_may_draft() -> None:
    async with replicas(1) as (here,):
        phone = await device(here)
        phone.put(opening())
        await until(lambda: phone.errors() == ["no_endpoint"])
        assert not phone.task.done()


@WHERE
async def test_after_a_clean_end_anybody_with_the_token_may_register_at_once(where: int) -> None:
    async with replicas(2) as both:
        first = await device(both[0])
        await until(lambda: both[1].names())
        await first.leave()
        await until(lambda: not both[1].names())
        second = await device(both[0], registration("another-instance"))
        assert second.link.of(work.Registered)
        await second.leave()
        await soon(lambda: not both[0].members.releases.pop())
        await asyncio.sleep(0)
        third = await device(both[where], registration("third-instance"))
        assert third.link.of(work.Registered), third.errors()


@pytest.mark.parametrize(
    ("grant", "fields", "code"),
    [
        (Grant(device="phone", owner="ann"), {"owner": "bob"}, "owner_differs"),
        (Grant(device="phone", owner=""), {"owner": "bob"}, "owner_differs"),
        (
            Grant(device="phone", owner="ann", privacy=frozenset({"public"})),
            {"privacy": "owner"},
            "privacy_not_allowed",
        ),
    ],
)
async def test_what_was_recorded_at_enrolment_holds(
    grant: Grant, fields: dict[str, Any], code: str
) -> None:
    async with replicas(1) as (here,):
        refused = newcomer(here, registration(**fields), grant)
        await refused.task
        assert refused.link.closed == (1008, code)
        assert here.names() == set()
        assert here.telemetry.registrations == [code]


async def test_a_device_may_leave_out_its_recorded_owner() -> None:
    async with replicas(1) as (here,):
        await device(here, None, Grant(device="phone", owner="ann"))
        assert here.members.members()[0].owner == "ann"


async def test_frames_about_work_before_registering_break_the_protocol() -> None:
    async with replicas(1) as (here,):
        link = FakeLink(wire.Hello(wire.VERSION), work.Piece(1, "x", 1))
        here.connect(link, Grant(device="phone"))
        await until(lambda: [e.code for e in link.of(wire.Error)] == ["not_registered"])


async def test_a_flood_of_states_is_refused() -> None:
    async with replicas(1) as (here,):
        phone = await device(here)
        phone.put(*[work.State(work.Condition())] * 60)
        await until(lambda: "flood" in phone.errors())


async def test_a_silent_device_leaves_within_its_lease_everywhere() -> None:
    async with replicas(2, lease_s=0.3) as (here, there):
        phone = await device(here)
        await until(lambda: there.names())
        await soon(lambda: not here.names() and not there.names())
        await phone.task
        assert phone.link.closed == (1008, "lease_expired")


async def test_devices_of_a_replica_that_died_leave_with_its_lease() -> None:
    async with replicas(2, lease_s=1.5) as (here, there):
        await device(here)
        await until(lambda: there.names())
        here.die()
        await soon(lambda: not there.names())


async def test_while_the_store_is_lost_devices_register_at_this_replica_alone() -> None:
    async with replicas(2) as (here, there):
        here.store.lost = True
        phone = await device(here)
        assert phone.link.of(work.Registered)
        assert here.names() == {"phone"} and there.names() == set()
        here.store.lost = False
        await soon(lambda: there.names() == {"phone"})


async def test_a_lease_that_somebody_else_took_meanwhile_ends_the_registration() -> None:
    async with replicas(2) as (here, there):
        here.store.lost = True
        phone = await device(here)
        other = await device(there, registration("another-instance"))
        assert other.link.of(work.Registered)
        here.store.lost = False
        await soon(lambda: phone.task.done())
        assert phone.link.closed == (1008, "duplicate_device")
        assert not other.task.done()


async def soon(look: object) -> None:
    """As `until`, for what a timer has to bring."""
    assert callable(look)
    async with asyncio.timeout(10):
        while not look():
            await asyncio.sleep(0.01)
