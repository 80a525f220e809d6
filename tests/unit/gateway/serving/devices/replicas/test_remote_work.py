"""Work for devices that are connected to another replica, and what becomes of it when one dies."""

from __future__ import annotations

import asyncio

import pytest

from gateway.core.devices.member import WorkPiece
from gateway.protocol.device_link import work
from gateway.serving.devices.replicas.messages import replies_channel, work_channel
from tests.unit.gateway.serving.devices.device_rig import until
from tests.unit.gateway.serving.devices.replica_rig import (
    FakeDevice,
    Replica,
    device,
    failure,
    order,
    replicas,
    whole,
)

pytestmark = pytest.mark.anyio

HEARTBEATS = 6
"""More than a silence may last."""


async def known(here: Replica, there: Replica) -> FakeDevice:
    """A device at `there` of which `here` knows."""
    phone = await device(there)
    await until(lambda: here.names() == {"phone"})
    return phone


async def test_an_answer_comes_over_the_other_replica() -> None:
    async with replicas(2) as (here, there):
        phone = await known(here, there)
        assignment = here.members.assign("phone", order(sampling={"stop": ["."]}))
        given = await phone.work()
        assert given.sampling.stop == ["."]
        phone.put(work.Piece(given.w, "It is ", 2))
        assert await assignment.read() == WorkPiece("It is ", 2)
        phone.put(
            work.Piece(given.w, "7", 1),
            work.Finished(
                w=given.w, reason="stop", prompt_tokens=5, completion_tokens=3, logprob=-0.5
            ),
        )
        text, end = await whole(assignment)
        assert (text, end.reason, end.completion_tokens, end.logprob) == ("7", "stop", 3, -0.5)
        # It is counted once, where it was asked for.
        assert here.telemetry.worked == [("generate", "stop")]
        assert there.telemetry.worked == []


async def test_a_refusal_and_a_cancellation_travel_too() -> None:
    async with replicas(2) as (here, there):
        phone = await known(here, there)
        refused = here.members.assign("phone", order())
        await phone.work()
        phone.put(work.Refused(w=1, code="hot", retry_s=3.0))
        assert await failure(refused) == "hot"
        assignment = here.members.assign("phone", order())
        await phone.work(2)
        assignment.cancel()
        await until(lambda: phone.recalled() == [2])


async def test_the_device_has_no_more_at_once_whoever_asks() -> None:
    async with replicas(3) as (here, there, elsewhere):
        phone = await known(here, there)
        await until(lambda: elsewhere.names())
        assignment = [r.members.assign("phone", order()) for r in (here, elsewhere)]
        await phone.work(2)
        assert await failure(there.members.assign("phone", order())) == "busy"
        assert await failure(here.members.assign("phone", order())) == "busy"
        more = [here.members.assign("phone", order()) for _ in range(2)]
        assert await failure(more[1]) == "busy"
        for one in assignment:
            one.cancel()


async def test_a_device_that_leaves_fails_the_work_of_other_replicas() -> None:
    async with replicas(2) as (here, there):
        phone = await known(here, there)
        assignment = here.members.assign("phone", order())
        await phone.work()
        await phone.leave()
        assert await failure(assignment) == "lost"


async def test_a_replica_that_dies_in_the_middle_fails_its_work() -> None:
    async with replicas(2) as (here, there):
        phone = await known(here, there)
        assignment = here.members.assign("phone", order())
        await phone.work()
        phone.put(work.Piece(1, "It", 1))
        assert await assignment.read() == WorkPiece("It", 1)
        there.die()
        assert await failure(assignment) == "lost"


async def test_an_asker_that_dies_has_its_work_recalled() -> None:
    async with replicas(2) as (here, there):
        phone = await known(here, there)
        here.members.assign("phone", order())
        await phone.work()
        here.die()
        async with asyncio.timeout(10):
            while phone.recalled() != [1]:
                await asyncio.sleep(0.01)


async def test_a_lost_message_is_noticed_and_the_work_recalled() -> None:
    async with replicas(2) as (here, there):
        phone = await known(here, there)
        assignment = here.members.assign("phone", order())
        await phone.work()
        channel = replies_channel(here.members.replica)
        there.store.loses = lambda to: to == channel
        before = there.store.published[channel]
        phone.put(work.Piece(1, "It ", 1))
        await until(lambda: there.store.published[channel] > before)
        there.store.loses = lambda _: False
        phone.put(work.Piece(1, "is", 1))
        assert await failure(assignment) == "lost"
        await until(lambda: phone.recalled() == [1])


async def test_an_order_that_never_arrives_is_given_up() -> None:
    async with replicas(2) as (here, there):
        phone = await known(here, there)
        channel = work_channel(there.members.replica)
        here.store.loses = lambda to: to == channel
        assert await failure(here.members.assign("phone", order())) == "lost"
        assert phone.works() == []


async def test_work_that_lasts_is_not_taken_for_lost() -> None:
    async with replicas(2) as (here, there):
        phone = await known(here, there)
        assignment = here.members.assign("phone", order())
        given = await phone.work()
        channel = replies_channel(here.members.replica)
        async with asyncio.timeout(10):
            while there.store.published[channel] < HEARTBEATS:
                await asyncio.sleep(0.01)
        phone.put(
            work.Piece(given.w, "7", 1),
            work.Finished(w=given.w, reason="stop", prompt_tokens=1, completion_tokens=1),
        )
        assert (await whole(assignment))[0] == "7"


async def test_a_deadline_holds_over_replicas() -> None:
    async with replicas(2) as (here, there):
        phone = await known(here, there)
        assignment = here.members.assign("phone", order(deadline_s=0.1))
        assert await failure(assignment) == "deadline"
        assert phone.recalled() == [1]
