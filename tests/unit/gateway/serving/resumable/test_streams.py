"""A stream that outlives its connection: whoever comes back has everything once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Message, Send

from gateway.adapters.clock import MonotonicClock
from gateway.adapters.state.memory import MemoryStore
from gateway.errors import StreamGone, UnknownStream
from tests.unit.gateway.build import BOUNDS
from tests.unit.gateway.core.streams.test_event_log import without_ids
from tests.unit.gateway.serving.resumable.stream_rig import (
    KEY,
    LIMITS,
    Caller,
    Replica,
    begin,
    come_back,
    read_through,
    replica,
    states,
    writing,
)

pytestmark = pytest.mark.anyio
EVENTS = [b"data: %d\n\n" % number for number in range(6)] + [b"data: [DONE]\n\n"]
WHOLE = b"".join(EVENTS)


async def settle() -> None:
    """Let everything go on that can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def left(at: Replica, *events: bytes, seconds: float = 30.0, key: str = KEY) -> str:
    """A stream whose caller left after the first event; more events than that come."""
    gate, caller = asyncio.Event(), Caller()
    work = writing(*events, gate=gate)
    task = asyncio.create_task(begin(at, caller, work, seconds=seconds, key=key))
    while b"\n\n" not in caller.body:
        await asyncio.sleep(0)
    caller.leave()
    await task
    gate.set()
    await settle()
    return caller.headers["x-tierflow-stream"]


@settings(max_examples=60)
@given(
    texts=st.lists(st.integers(0, 40), min_size=1, max_size=8),
    breaks=st.lists(st.integers(0, 300), max_size=5),
    number=st.integers(1, 2),
)
def test_cut_anywhere_and_come_back_anywhere(
    texts: Sequence[int], breaks: Sequence[int], number: int
) -> None:
    events = [b"data: " + b"x" * size + b"\n\n" for size in texts] + [b"data: [DONE]\n\n"]

    async def run() -> bytes:
        store = MemoryStore(MonotonicClock(), BOUNDS)
        async with replica("0", store) as first, replica("1", store) as second:
            return await read_through([first, second][:number], writing(*events), breaks)

    assert without_ids(asyncio.run(run())) == b"".join(events)


async def test_a_connection_that_holds_sees_the_stream_with_ids() -> None:
    async with replica() as here:
        caller = Caller()
        await begin(here, caller, writing(*EVENTS))
        assert caller.complete
        assert without_ids(caller.body) == WHOLE
        assert caller.headers["x-tierflow-resumable"] == "30"
        assert caller.body.startswith(b"id: " + caller.headers["x-tierflow-stream"].encode())


async def test_the_work_goes_on_without_its_caller() -> None:
    async with replica() as here:
        stream = await left(here, *EVENTS)
        assert states(here) == (0, 1, 0)
        caller = Caller()
        await come_back(here, caller, stream, 1)
        assert without_ids(caller.body) == b"".join(EVENTS[1:])
        assert here.telemetry.resumes == ["own"]
        assert here.telemetry.losses == []


async def test_a_caller_that_stays_away_ends_its_stream_and_the_work() -> None:
    ended = asyncio.Event()

    async def endless(send: Send) -> None:
        try:
            await writing(*EVENTS, gate=asyncio.Event())(send)
        finally:
            ended.set()

    async with replica() as here:
        caller = Caller(breaks_after=5)
        await begin(here, caller, endless, seconds=0.01)
        async with asyncio.timeout(10):
            await ended.wait()
        await settle()
        assert here.telemetry.losses == ["expired"]
        assert (states(here), here.streams.kept_bytes) == ((0, 0, 0), 0)
        with pytest.raises(UnknownStream):
            await come_back(here, Caller(), caller.headers["x-tierflow-stream"])


async def test_a_stream_that_was_read_to_its_end_is_no_loss() -> None:
    async with replica() as here:
        await begin(here, Caller(), writing(*EVENTS), seconds=0.01)
        async with asyncio.timeout(10):
            while any(states(here)):
                await asyncio.sleep(0.01)
        assert here.telemetry.losses == []


async def test_another_caller_is_told_nothing() -> None:
    async with replica() as here:
        stream = await left(here, *EVENTS)
        for key in ("", "Bearer another"):
            with pytest.raises(UnknownStream):
                await come_back(here, Caller(), stream, 1, key=key)


async def test_a_newer_connection_takes_over() -> None:
    """The older one may be dead without anybody having said so."""
    async with replica() as here:
        gate, older, newer = asyncio.Event(), Caller(), Caller()
        first = asyncio.create_task(begin(here, older, writing(*EVENTS, gate=gate)))
        while not older.body:
            await asyncio.sleep(0)
        stream = older.headers["x-tierflow-stream"]
        second = asyncio.create_task(come_back(here, newer, stream, 1))
        await first
        gate.set()
        await second
        assert older.complete
        assert older.body.count(b'"code":"stream_replaced"') == 1
        assert without_ids(newer.body) == b"".join(EVENTS[1:])


async def test_a_slow_caller_slows_the_work_and_not_the_memory() -> None:
    written = 0
    piece = b"data: " + b"x" * 10_000 + b"\n\n"
    read = asyncio.Event()

    class Slow(Caller):
        async def send(self, message: Message) -> None:
            if message.get("body"):
                await read.wait()
            await super().send(message)

    async def work(send: Send) -> None:
        nonlocal written

        async def counted(message: Message) -> None:
            nonlocal written
            await send(message)
            written += 1

        await writing(*[piece] * 100)(counted)

    async with replica() as here:
        caller = Slow()
        task = asyncio.create_task(begin(here, caller, work))
        while written < 5:
            await asyncio.sleep(0)
        await settle()
        assert written < 12
        assert here.streams.kept_bytes < 200_000
        read.set()
        await task
        assert without_ids(caller.body) == piece * 100


async def test_a_link_that_is_gone_without_a_word_holds_nothing_up() -> None:
    class Silent(Caller):
        async def send(self, message: Message) -> None:
            if message.get("body"):
                await asyncio.Event().wait()
            await super().send(message)

    async with replica(stalled_s=0.05) as here:
        caller = Silent()
        await begin(here, caller, writing(*EVENTS))
        assert states(here) == (0, 1, 0)
        back = Caller()
        await come_back(here, back, caller.headers["x-tierflow-stream"])
        assert without_ids(back.body) == WHOLE


async def test_a_stream_that_outgrows_its_bytes_is_gone_for_whoever_missed_them() -> None:
    async with replica(limits=replace(LIMITS, max_stream_bytes=600)) as here:
        stream = await left(here, *EVENTS)
        with pytest.raises(StreamGone) as told:
            await come_back(here, Caller(), stream, 1)
        assert told.value.code == "stream_gone"
        assert here.telemetry.losses == ["overflown"]
        caller = Caller()
        await come_back(here, caller, stream, 6)
        assert without_ids(caller.body) == EVENTS[-1]


async def test_of_too_many_the_oldest_ends_but_first_those_that_were_delivered() -> None:
    async with replica(limits=replace(LIMITS, max_away=2)) as here:
        oldest = await left(here, *EVENTS)
        await begin(here, delivered := Caller(), writing(*EVENTS))
        newer = await left(here, *EVENTS)
        with pytest.raises(UnknownStream):
            await come_back(here, Caller(), delivered.headers["x-tierflow-stream"])
        assert here.telemetry.losses == []
        newest = await left(here, *EVENTS)
        assert here.telemetry.losses == ["evicted"]
        with pytest.raises(UnknownStream):
            await come_back(here, Caller(), oldest)
        for stream in (newer, newest):
            caller = Caller()
            await come_back(here, caller, stream)
            assert without_ids(caller.body) == WHOLE


async def test_a_caller_with_many_streams_takes_no_room_of_others() -> None:
    async with replica(limits=replace(LIMITS, max_away=3)) as here:
        single = await left(here, *EVENTS, key="Bearer another")
        streams = [await left(here, *EVENTS) for _ in range(4)]
        caller = Caller()
        await come_back(here, caller, single, key="Bearer another")
        assert without_ids(caller.body) == WHOLE
        for stream in streams[:2]:
            with pytest.raises(UnknownStream):
                await come_back(here, Caller(), stream)
        await come_back(here, Caller(), streams[-1])


async def test_all_streams_together_stay_within_their_bytes() -> None:
    async with replica(limits=replace(LIMITS, max_bytes=2000)) as here:
        for _ in range(5):
            await left(here, *EVENTS)
            assert here.streams.kept_bytes <= 2000
        assert set(here.telemetry.losses) == {"evicted"}


async def test_a_caller_may_end_its_stream() -> None:
    async with replica() as here:
        stream = await left(here, *EVENTS)
        with pytest.raises(UnknownStream):
            await here.answers.drop(stream, "Bearer another")
        await here.answers.drop(stream, "Bearer mine")
        assert states(here) == (0, 0, 0)
        assert here.telemetry.losses == []


async def test_an_answer_that_is_no_stream_passes_untouched() -> None:
    async def refusing(send: Send) -> None:
        headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 400, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}", "more_body": False})

    async with replica() as here:
        caller = Caller()
        await begin(here, caller, refusing)
        assert (caller.status, caller.body) == (400, b"{}")
        assert "x-tierflow-stream" not in caller.headers
