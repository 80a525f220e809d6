"""The tasks that keep a replica in touch with others go on after any failure."""

from __future__ import annotations

import asyncio

import pytest

from gateway.core.state.operations import Held
from gateway.protocol.device_link import work
from gateway.serving import tasks
from gateway.serving.devices.replicas.messages import DeviceLeft
from tests.unit.gateway.serving.devices.device_rig import until
from tests.unit.gateway.serving.devices.replica_rig import (
    Replica,
    device,
    order,
    replicas,
    whole,
)

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "AGAIN_S", 0.0)


def break_(replica: Replica, where: str, times: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The next calls of the store fail as no caller foresees."""
    works, broken = getattr(replica.store, where), list[str]()

    async def fails(*given: object) -> object:
        if len(broken) < times:
            broken.append(where)
            raise TypeError
        return await works(*given)

    monkeypatch.setattr(replica.store, where, fails)
    return broken


@pytest.mark.parametrize(("where", "times"), [("publish", 1), ("run", 1), ("listen", 3)])
async def test_replicas_stay_in_touch_after_an_unexpected_failure(
    where: str, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with replicas(2, started=False) as (here, there):
        broken = break_(there, where, times, monkeypatch)
        here.bus.start()
        there.bus.start()
        if where == "publish":
            there.replica_outbox.put("nobody", DeviceLeft("lamp", there.members.replica))
        await until(lambda: len(broken) == times)
        async with asyncio.timeout(10):
            while there.members.replica not in (await here.store.run(Held("replica")))[0]:
                await asyncio.sleep(0)
        phone = await device(there)
        await until(lambda: here.names() == {"phone"})
        assignment = here.members.assign("phone", order())
        given = await phone.work()
        phone.put(
            work.Piece(given.w, "7", 1),
            work.Finished(w=given.w, reason="stop", prompt_tokens=5, completion_tokens=1),
        )
        assert (await whole(assignment))[0] == "7"
