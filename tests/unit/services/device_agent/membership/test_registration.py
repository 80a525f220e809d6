"""Registered on each connection, retried slowly where refused, and what is told meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.protocol.device_link import speculation as wire
from gateway.protocol.device_link import work
from services.device_agent.membership import registration
from services.device_agent.membership.registration import Membership
from services.device_agent.membership.sensors import SensorReading
from services.device_agent.text import TextModel
from tests.servers import SHIPPED_FAMILY
from tests.unit.services.device_agent.membership.active_work_rig import (
    ActiveWorkRig,
    active_work_rig,
    work_frame,
)
from tests.unit.services.device_agent.scripted_drafter import ScriptedDrafter

pytestmark = pytest.mark.anyio
DUPLICATE = wire.Error(
    code="duplicate_device", message="phone is registered by another process", s=None, fatal=True
)


@pytest.fixture(scope="module")
def model() -> TextModel:
    return TextModel(SHIPPED_FAMILY / "rill-device")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def member(model: TextModel) -> AsyncIterator[tuple[Membership, ActiveWorkRig, Clock]]:
    async with active_work_rig(model, ScriptedDrafter(model.encode("word " * 500))) as rig:
        clock = Clock()
        made = Membership(
            profile=rig.profile,
            active_work=rig.active_work,
            state=rig.state,
            send=rig.send,
            uniform=lambda: 0.5,
            clock=clock,
        )
        yield made, rig, clock
        made.disconnected()
        await settled()


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def sent(rig: ActiveWorkRig, kind: type[Any]) -> list[Any]:
    return [frame for frame in rig.frames if isinstance(frame, kind)]


async def test_it_registers_on_each_connection_as_the_same_process(model: TextModel) -> None:
    async with member(model) as (made, rig, _):
        for _ in range(2):
            made.connected()
            await settled()
            made.handle_frame(work.Registered("phone", 4), rig.send)
            assert made.status()["registered"] == "phone"
            made.disconnected()
            assert made.status() == {"registered": None, "reason": registration.NOT_CONNECTED}
        one, other = sent(rig, work.Register)
        assert one == other


async def test_the_gateway_may_grant_less_than_was_offered(model: TextModel) -> None:
    async with member(model) as (made, rig, _):
        made.connected()
        made.handle_frame(work.Registered("phone", 1), rig.send)
        assert rig.active_work.max_work == 1
        made.handle_frame(work.Registered("phone", 60), rig.send)
        assert rig.active_work.max_work == 4, "never more than the device offers"


@pytest.mark.parametrize(
    "error",
    [
        DUPLICATE,
        wire.Error(code="owner_differs", message="owner: the enrolment says another"),
        wire.Error(code="bad_frame", message="hello: only the first frame is one"),
    ],
    ids=lambda error: error.code,
)
async def test_a_refusal_is_told_once_and_tried_again_much_later(
    model: TextModel, error: wire.Error, caplog: pytest.LogCaptureFixture
) -> None:
    async with member(model) as (made, rig, clock):
        for _ in range(3):
            made.connected()
            await settled()
            made.handle_error(error)
            made.disconnected()
            made.connected()
            await settled()
            assert made.status()["reason"] == error.message
            made.disconnected()
            clock.now += registration.RETRY_S
        assert len(sent(rig, work.Register)) == 3
        warned = [each for each in caplog.records if each.levelno >= logging.WARNING]
        assert len(warned) == 1 and error.message in warned[0].getMessage()


async def test_the_wait_after_a_refusal_ends_by_itself(
    model: TextModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registration, "RETRY_S", 0.0)
    async with member(model) as (made, rig, _):
        made.connected()
        await settled()
        assert made.handle_error(wire.Error(code="owner_differs", message="no"))
        await settled()
        assert len(sent(rig, work.Register)) == 2


async def test_errors_about_other_things_are_left_to_the_link(model: TextModel) -> None:
    async with member(model) as (made, rig, _):
        made.connected()
        await settled()
        assert not made.handle_error(
            wire.Error(code="replaced", message="another connection", s=None, fatal=True)
        )
        made.handle_frame(work.Registered("phone", 2), rig.send)
        assert not made.handle_error(wire.Error(code="flood", message="too many"))
        assert made.status()["registered"] == "phone"


async def test_a_gateway_that_never_answers_is_no_end(
    model: TextModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registration, "ANSWER_S", 0.0)
    async with member(model) as (made, rig, _):
        made.connected()
        await settled()
        assert "did not answer the registration" in str(made.status()["reason"])
        assert len(sent(rig, work.Register)) == 1


async def test_changes_of_the_condition_are_told_and_nothing_else(
    model: TextModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registration, "CHECK_S", 0.0)
    async with member(model) as (made, rig, _):
        running = asyncio.create_task(made.run())
        made.connected()
        await settled()
        assert not sent(rig, work.State)
        made.handle_frame(work.Registered("phone", 2), rig.send)
        rig.state.update(SensorReading(99.0, 0.5))
        await settled()
        rig.state.update(SensorReading(99.0, 0.4999))
        await settled()
        assert [frame.condition.battery for frame in sent(rig, work.State)] == [0.5]
        assert sent(rig, work.State)[0].condition.hot
        running.cancel()


async def test_work_is_taken_and_recalled_and_ends_with_the_connection(model: TextModel) -> None:
    async with member(model) as (made, rig, _):
        made.connected()
        made.handle_frame(work.Registered("phone", 2), rig.send)
        made.handle_frame(work_frame(1, max_tokens=500), rig.send)
        made.handle_frame(work_frame(2, max_tokens=500), rig.send)
        assert made.status()["working"] == 2
        made.handle_frame(work.Recall(1), rig.send)
        assert made.status()["working"] == 1
        made.disconnected()
        made.lost(rig.send)
        assert rig.active_work.working == 0


async def test_work_goes_on_where_only_the_registration_is_over(model: TextModel) -> None:
    """The gateway is about to stop, and waits for it."""
    async with member(model) as (made, rig, _):
        made.connected()
        made.handle_frame(work.Registered("phone", 2), rig.send)
        made.handle_frame(work_frame(1, max_tokens=20), rig.send)
        made.disconnected()
        made.connected()
        assert rig.active_work.working == 1
        assert (await rig.end(1)).reason == "length"


async def test_work_of_two_connections_may_have_the_same_number(model: TextModel) -> None:
    async with member(model) as (made, rig, _):
        elsewhere: list[work.FromDevice] = []

        async def send(frame: work.FromDevice) -> None:
            elsewhere.append(frame)

        made.connected()
        made.handle_frame(work.Registered("phone", 2), rig.send)
        made.handle_frame(work_frame(1, max_tokens=20), rig.send)
        made.handle_frame(work_frame(1, max_tokens=500), send)
        assert rig.active_work.working == 2
        made.lost(send)
        assert rig.active_work.working == 1
        assert (await rig.end(1)).reason == "length"
        assert not [frame for frame in elsewhere if isinstance(frame, work.Finished)]
