"""Registered on each connection, retried slowly where refused, and what is told meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.protocol import speculation as wire
from gateway.protocol import work
from services.device_agent.membership import registration
from services.device_agent.membership.registration import Membership
from services.device_agent.membership.sensors import Reading
from services.device_agent.text import TextModel
from tests.servers import SHIPPED_FAMILY
from tests.unit.services.device_agent.membership.scene import Scene, order, scene
from tests.unit.services.device_agent.scripted_drafter import ScriptedDrafter

pytestmark = pytest.mark.anyio
DUPLICATE = wire.Error("duplicate_device", "phone is registered by another process", None, True)


@pytest.fixture(scope="module")
def model() -> TextModel:
    return TextModel(SHIPPED_FAMILY / "rill-device")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def member(model: TextModel) -> AsyncIterator[tuple[Membership, Scene, Clock]]:
    async with scene(model, ScriptedDrafter(model.encode("word " * 500))) as here:
        clock = Clock()
        made = Membership(
            here.profile, here.workload, here.conditions, here.send, lambda: 0.5, clock
        )
        yield made, here, clock
        made.lost()
        await settled()


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def sent(here: Scene, kind: type[Any]) -> list[Any]:
    return [frame for frame in here.frames if isinstance(frame, kind)]


async def test_it_registers_on_each_connection_as_the_same_process(model: TextModel) -> None:
    async with member(model) as (made, here, _):
        for _ in range(2):
            made.welcomed()
            await settled()
            made.take(work.Registered("phone", 4))
            assert made.status()["registered"] == "phone"
            made.lost()
            assert made.status() == {"registered": None, "reason": registration.NOT_CONNECTED}
        one, other = sent(here, work.Register)
        assert one == other


async def test_the_gateway_may_grant_less_than_was_offered(model: TextModel) -> None:
    async with member(model) as (made, here, _):
        made.welcomed()
        made.take(work.Registered("phone", 1))
        assert here.workload.max_work == 1
        made.take(work.Registered("phone", 60))
        assert here.workload.max_work == 4, "never more than the device offers"


@pytest.mark.parametrize(
    "error",
    [
        DUPLICATE,
        wire.Error("owner_differs", "owner: the enrolment says another"),
        wire.Error("bad_frame", "hello: only the first frame is one"),
    ],
    ids=lambda error: error.code,
)
async def test_a_refusal_is_told_once_and_tried_again_much_later(
    model: TextModel, error: wire.Error, caplog: pytest.LogCaptureFixture
) -> None:
    async with member(model) as (made, here, clock):
        for _ in range(3):
            made.welcomed()
            await settled()
            made.heard(error)
            made.lost()
            made.welcomed()
            await settled()
            assert made.status()["reason"] == error.message
            made.lost()
            clock.now += registration.AGAIN_S
        assert len(sent(here, work.Register)) == 3
        warned = [each for each in caplog.records if each.levelno >= logging.WARNING]
        assert len(warned) == 1 and error.message in warned[0].getMessage()


async def test_the_wait_after_a_refusal_ends_by_itself(
    model: TextModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registration, "AGAIN_S", 0.0)
    async with member(model) as (made, here, _):
        made.welcomed()
        await settled()
        assert made.heard(wire.Error("owner_differs", "no"))
        await settled()
        assert len(sent(here, work.Register)) == 2


async def test_errors_about_other_things_are_left_to_the_link(model: TextModel) -> None:
    async with member(model) as (made, _, _):
        made.welcomed()
        await settled()
        assert not made.heard(wire.Error("replaced", "another connection", None, True))
        made.take(work.Registered("phone", 2))
        assert not made.heard(wire.Error("flood", "too many"))
        assert made.status()["registered"] == "phone"


async def test_a_gateway_that_never_answers_is_no_end(
    model: TextModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registration, "ANSWER_S", 0.0)
    async with member(model) as (made, here, _):
        made.welcomed()
        await settled()
        assert "no answer to the registration" in str(made.status()["reason"])
        assert len(sent(here, work.Register)) == 1


async def test_changes_of_the_condition_are_told_and_nothing_else(
    model: TextModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registration, "TELL_S", 0.0)
    async with member(model) as (made, here, _):
        running = asyncio.create_task(made.run())
        made.welcomed()
        await settled()
        assert not sent(here, work.State)
        made.take(work.Registered("phone", 2))
        here.conditions.take(Reading(99.0, 0.5))
        await settled()
        here.conditions.take(Reading(99.0, 0.4999))
        await settled()
        assert [frame.condition.battery for frame in sent(here, work.State)] == [0.5]
        assert sent(here, work.State)[0].condition.hot
        running.cancel()


async def test_work_is_taken_and_recalled_and_ends_with_the_connection(model: TextModel) -> None:
    async with member(model) as (made, here, _):
        made.welcomed()
        made.take(work.Registered("phone", 2))
        made.take(order(1, max_tokens=500))
        made.take(order(2, max_tokens=500))
        assert made.status()["working"] == 2
        made.take(work.Recall(1))
        assert made.status()["working"] == 1
        made.lost()
        assert here.workload.working == 0
