"""A gateway that is about to stop: its devices are sent elsewhere, what is under way is kept."""

from __future__ import annotations

import asyncio

import pytest

from gateway.core.devices.member import WorkEnd, WorkOrder
from gateway.core.speculation.job import Batch
from gateway.errors import Draining
from gateway.protocol.device_link import speculation as wire
from gateway.protocol.device_link import work
from tests.unit.gateway.build import state
from tests.unit.gateway.fakes import VerifiedPiece
from tests.unit.gateway.serving.devices.device_rig import DeviceRig, FakeLink, opening, until
from tests.unit.gateway.serving.devices.replica_rig import registration

pytestmark = pytest.mark.anyio
HELLO = wire.Hello(wire.VERSION)
REST: list[VerifiedPiece] = [Batch(ids=[5]), Batch(ids=[6], reason="stop")]


def device_rig() -> DeviceRig:
    return DeviceRig([state("edge:1")], {"edge:1": lambda: REST})


def told_to_go(link: FakeLink) -> list[int | None]:
    """The sessions that were refused; None for the connection itself."""
    return [error.s for error in link.of(wire.Error) if error.code == wire.DRAINING]


async def test_a_device_with_nothing_under_way_is_sent_elsewhere_at_once() -> None:
    rig = device_rig()
    link = FakeLink(HELLO)
    serving = rig.connect(link)
    await until(lambda: link.of(wire.Welcome))
    await rig.devices.connections.drain()
    await serving
    assert told_to_go(link) == [None]
    assert not link.of(wire.Error)[0].fatal
    assert link.closed == (1012, wire.DRAINING)
    assert rig.sessions.codes == [], "it has broken no rule"
    assert rig.sessions.devices[-1] == 0


async def test_a_session_under_way_ends_as_ever_and_a_new_one_is_refused() -> None:
    rig = device_rig()
    rig.verifier.accepting.clear()
    link = FakeLink(HELLO, opening(1))
    serving = rig.connect(link)
    await until(lambda: rig.verifier.jobs)
    draining = asyncio.create_task(rig.devices.connections.drain())
    await until(lambda: told_to_go(link))
    link.put(opening(2))
    await until(lambda: told_to_go(link) == [None, 2])
    assert link.closed is None
    rig.verifier.accepting.set()
    await draining
    await serving
    assert [frame.i for frame in link.of(wire.Tokens)] == [[5], [6]]
    assert link.of(wire.Done)[0].s == 1
    assert link.closed == (1012, wire.DRAINING)
    rig.assert_nothing_left_open()


async def test_a_member_gets_no_more_work_and_finishes_what_it_has() -> None:
    rig = device_rig()
    link = FakeLink(HELLO, registration())
    serving = rig.connect(link)
    await until(lambda: link.of(work.Registered))
    members = rig.devices.members
    order = WorkOrder(
        kind="generate",
        messages=[{"role": "user", "content": "hi"}],
        max_tokens=5,
        deadline_s=30.0,
        sampling={},
    )
    assignment = members.assign("phone", order)
    await until(lambda: link.of(work.Work))
    draining = asyncio.create_task(rig.devices.connections.drain())
    await until(lambda: told_to_go(link))
    assert members.members() == []
    link.put(work.Finished(w=1, reason="stop", prompt_tokens=1, completion_tokens=1))
    assert isinstance(await assignment.read(), WorkEnd)
    await draining
    await serving
    assert link.closed == (1012, wire.DRAINING)


async def test_a_registration_in_the_last_moment_is_given_up() -> None:
    rig = device_rig()
    link = FakeLink(HELLO)
    serving = rig.connect(link)
    await until(lambda: link.of(wire.Welcome))
    draining = asyncio.create_task(rig.devices.connections.drain())
    await until(lambda: told_to_go(link))
    link.put(registration())
    await draining
    await serving
    assert rig.devices.members.members() == []


async def test_no_device_may_connect_any_more() -> None:
    rig = device_rig()
    rig.devices.connections.check_open()
    await rig.devices.connections.drain()
    with pytest.raises(Draining) as refused:
        rig.devices.connections.check_open()
    assert refused.value.code == wire.DRAINING


async def test_a_drain_that_is_cut_short_leaves_the_rest_as_it_is() -> None:
    rig = device_rig()
    rig.verifier.accepting.clear()
    link = FakeLink(HELLO, opening(1))
    serving = rig.connect(link)
    await until(lambda: rig.verifier.jobs)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(rig.devices.connections.drain(), 0.05)
    assert link.closed is None
    link.leave()
    await serving


async def test_whoever_sends_the_devices_elsewhere_need_not_wait_for_them() -> None:
    rig = device_rig()
    link = FakeLink(HELLO)
    serving = rig.connect(link)
    await until(lambda: link.of(wire.Welcome))
    rig.devices.leave()
    with pytest.raises(Draining):
        rig.devices.connections.check_open()
    await serving
    assert link.closed == (1012, wire.DRAINING)
    await rig.devices.connections.stop()
