"""A caller that comes back to another replica, over a store that may lose messages."""

from __future__ import annotations

import asyncio

import pytest

from gateway.adapters.clock import MonotonicClock
from gateway.adapters.state.memory import MemoryStore
from gateway.errors import StateLost, StreamGone, UnknownStream
from gateway.serving.resumable import remote_streams, stream_bus, stream_server
from tests.unit.gateway.build import BOUNDS
from tests.unit.gateway.core.streams.test_event_log import without_ids
from tests.unit.gateway.serving.resumable.stream_rig import (
    Caller,
    begin,
    come_back,
    read_through,
    replica,
    states,
    writing,
)
from tests.unit.gateway.serving.resumable.test_streams import EVENTS, left, settle

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (remote_streams, stream_server):
        monkeypatch.setattr(module, "SILENT_S", 0.2)
    for module in (stream_bus, stream_server):
        monkeypatch.setattr(module, "BEAT_S", 0.01)


class LossyStore(MemoryStore):
    """Loses every message whose number is in `lost`, and is out of reach while `down`."""

    down = False

    def __init__(self) -> None:
        super().__init__(MonotonicClock(), BOUNDS)
        self.lost: set[int] = set()
        self._number = 0

    async def publish(self, channel: str, message: bytes) -> None:
        self._number += 1
        if self.down:
            raise StateLost("down", retry_after=1.0, code="state_lost")
        if self._number not in self.lost:
            await super().publish(channel, message)


async def test_a_message_that_is_lost_costs_time_and_no_event() -> None:
    store = LossyStore()
    store.lost = {1, 2, 4, 7, 8}
    async with replica("0", store) as first, replica("1", store) as second:
        heard = await read_through([first, second, second], writing(*EVENTS), [70, 70, 70])
        assert without_ids(heard) == b"".join(EVENTS)


async def test_a_stream_that_is_still_written_is_followed_from_another_replica() -> None:
    store = LossyStore()
    async with replica("0", store) as owner, replica("1", store) as other:
        gate, caller, back = asyncio.Event(), Caller(breaks_after=5), Caller()
        await begin(owner, caller, writing(*EVENTS, gate=gate))
        stream = caller.headers["x-tierflow-stream"]
        task = asyncio.create_task(come_back(other, back, stream))
        while b"data: 0" not in back.body:
            await asyncio.sleep(0.001)
        assert states(owner) == (1, 0, 0)
        gate.set()
        await task
        assert back.complete
        assert without_ids(back.body) == b"".join(EVENTS)
        assert back.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert other.telemetry.resumes == ["other"]
        await settle()
        assert states(owner) == (0, 0, 1)
        assert owner.telemetry.losses == []


async def test_another_replica_asks_for_the_same_key() -> None:
    store = LossyStore()
    async with replica("0", store) as owner, replica("1", store) as other:
        stream = await left(owner, *EVENTS)
        with pytest.raises(UnknownStream):
            await come_back(other, Caller(), stream, key="Bearer another")
        await other.answers.drop(stream, "Bearer another")
        assert states(owner) == (0, 1, 0)
        await other.answers.drop(stream, "Bearer mine")
        assert states(owner) == (0, 0, 0)


async def test_a_replica_that_is_gone_is_told_as_such() -> None:
    store = LossyStore()
    async with replica("1", store) as other:
        async with replica("0", store) as owner:
            stream = await left(owner, *EVENTS)
        with pytest.raises(StreamGone) as told:
            await come_back(other, Caller(), stream)
        assert told.value.code == "stream_lost"
        assert other.telemetry.losses == ["replica_gone"]


async def test_a_replica_that_goes_in_the_middle_ends_the_stream_with_one_error() -> None:
    store = LossyStore()
    async with replica("1", store) as other:
        back = Caller()
        async with replica("0", store) as owner:
            caller = Caller(breaks_after=5)
            await begin(owner, caller, writing(*EVENTS, gate=asyncio.Event()))
            stream = caller.headers["x-tierflow-stream"]
            task = asyncio.create_task(come_back(other, back, stream))
            while b"data: 0" not in back.body:
                await asyncio.sleep(0.001)
            # As if the process were gone: it hears nothing, and says nothing.
            await owner.bus.stop()
            await task
        assert back.complete
        assert back.body.count(b'"code":"stream_lost"') == 1


async def test_a_store_that_is_lost_breaks_the_connection_and_not_the_stream() -> None:
    """So the caller comes back, and has everything then."""
    store = LossyStore()
    async with replica("0", store) as owner, replica("1", store) as other:
        gate, caller, back = asyncio.Event(), Caller(breaks_after=5), Caller()
        await begin(owner, caller, writing(*EVENTS, gate=gate))
        stream = caller.headers["x-tierflow-stream"]
        task = asyncio.create_task(come_back(other, back, stream))
        while b"data: 0" not in back.body:
            await asyncio.sleep(0.001)
        store.down = True
        await task
        assert not back.complete
        with pytest.raises(StateLost):
            await come_back(other, Caller(), stream)
        store.down = False
        gate.set()
        again = Caller()
        await come_back(other, again, stream, 1)
        assert without_ids(back.whole_events + again.body) == b"".join(EVENTS)


async def test_a_caller_that_leaves_the_other_replica_leaves_its_stream() -> None:
    store = LossyStore()
    async with replica("0", store) as owner, replica("1", store) as other:
        caller, back = Caller(breaks_after=5), Caller()
        await begin(owner, caller, writing(*EVENTS, gate=asyncio.Event()))
        stream = caller.headers["x-tierflow-stream"]
        task = asyncio.create_task(come_back(other, back, stream))
        while b"data: 0" not in back.body:
            await asyncio.sleep(0.001)
        back.leave()
        await task
        await settle()
        assert states(owner) == (0, 1, 0)


async def test_a_newer_connection_at_another_replica_takes_over() -> None:
    store = LossyStore()
    async with replica("0", store) as owner, replica("1", store) as other:
        gate, first, older, newer = asyncio.Event(), Caller(breaks_after=5), Caller(), Caller()
        await begin(owner, first, writing(*EVENTS, gate=gate))
        stream = first.headers["x-tierflow-stream"]
        reading = asyncio.create_task(come_back(other, older, stream))
        while b"data: 0" not in older.body:
            await asyncio.sleep(0.001)
        taking_over = asyncio.create_task(come_back(owner, newer, stream))
        await reading
        assert older.body.count(b'"code":"stream_replaced"') == 1
        gate.set()
        await taking_over
        assert without_ids(newer.body) == b"".join(EVENTS)
