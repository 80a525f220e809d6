"""Replicas with resumable streams, and callers whose connections break."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.types import Message, Send

from gateway.adapters.clock import MonotonicClock
from gateway.adapters.state.memory import MemoryStore
from gateway.api.client_disconnect import ClientGone
from gateway.api.resumable import ResumableAnswers, Work
from gateway.core.ports import StateStore
from gateway.core.streams.event_log import read_event_id
from gateway.core.types import Caller as KnownCaller
from gateway.serving.resumable.remote_streams import RemoteStreams
from gateway.serving.resumable.resumption import Resumption
from gateway.serving.resumable.stream_bus import StreamBus
from gateway.serving.resumable.stream_server import StreamServer
from gateway.serving.resumable.streams import ResumableStreams, StreamLimits
from tests.unit.gateway.build import BOUNDS, request

LIMITS = StreamLimits(max_s=300.0, max_away=10, max_stream_bytes=1 << 20, max_bytes=1 << 22)
KEY = "Bearer mine"
_numbers = itertools.count()


def new_id() -> str:
    return hashlib.md5(str(next(_numbers)).encode()).hexdigest()


class ResumableRecorder:
    """A `ResumableTelemetry` that remembers."""

    def __init__(self) -> None:
        self.resumes: list[str] = []
        self.losses: list[str] = []

    def resumed(self, replica: str) -> None:
        self.resumes.append(replica)

    def lost(self, reason: str) -> None:
        self.losses.append(reason)


@dataclass
class Replica:
    """One replica: its streams, and what answers its callers."""

    streams: ResumableStreams
    answers: ResumableAnswers
    bus: StreamBus
    telemetry: ResumableRecorder


@asynccontextmanager
async def replica(
    name: str = "0",
    store: StateStore | None = None,
    limits: StreamLimits = LIMITS,
    stalled_s: float = 30.0,
) -> AsyncIterator[Replica]:
    clock, telemetry, id = MonotonicClock(), ResumableRecorder(), name * 16
    store = store or MemoryStore(clock, BOUNDS)
    streams = ResumableStreams(replica=id, limits=limits, telemetry=telemetry, new_id=new_id)
    remote = RemoteStreams(replica=id, store=store, clock=clock, new_id=new_id)
    bus = StreamBus(
        replica=id,
        store=store,
        remote=remote,
        server=StreamServer(streams=streams, store=store, clock=clock),
        uniform=lambda: 0.5,
    )
    resumption = Resumption(streams=streams, remote=remote, telemetry=telemetry)
    answers = ResumableAnswers(
        streams=streams, resumption=resumption, clock=clock, stalled_s=stalled_s
    )
    await bus.start()
    try:
        yield Replica(streams, answers, bus, telemetry)
    finally:
        await bus.stop()
        await streams.close()


def states(at: Replica) -> tuple[int, ...]:
    """Streams that are connected, whose caller is away, and that were delivered."""
    return tuple(at.streams.by_state().values())


class Caller:
    """A caller whose connection breaks once so many bytes of the body have come; None: it holds."""

    def __init__(self, breaks_after: int | None = None) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.complete = False
        self._breaks_after = breaks_after
        self._gone = asyncio.Event()
        if breaks_after == 0:
            self._gone.set()

    async def receive(self) -> Message:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            named = ((name.decode(), value.decode()) for name, value in message["headers"])
            self.headers = dict(named)
        elif not self._gone.is_set():
            self.body += message["body"]
            self.complete = not message["more_body"]
            if self._breaks_after is not None and len(self.body) >= self._breaks_after:
                self.body, self.complete = self.body[: self._breaks_after], False
                self._gone.set()

    def leave(self) -> None:
        self._gone.set()

    @property
    def whole_events(self) -> bytes:
        """What a client keeps of a stream that broke: events that came to their end."""
        if self.complete:
            return self.body
        return self.body[: self.body.rfind(b"\n\n") + 2] if b"\n\n" in self.body else b""


def last_id(events: bytes) -> tuple[str, int] | None:
    ids = [line[4:] for line in events.split(b"\n") if line.startswith(b"id: ")]
    return read_event_id(ids[-1].decode()) if ids else None


def writing(*events: bytes, gate: asyncio.Event | None = None) -> Work:
    """The work of a stream. With a `gate`, what follows the first event waits for it."""

    async def work(send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for number, event in enumerate(events):
            if number == 1 and gate is not None:
                await gate.wait()
            await send({"type": "http.response.body", "body": event, "more_body": True})
            await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return work


async def begin(
    at: Replica,
    caller: Caller,
    work: Work,
    *,
    seconds: float = 30.0,
    key: str = KEY,
) -> None:
    """The caller's own request, until its connection ends."""
    try:
        await at.answers.serve(
            request("rill-edge", stream=True, caller=KnownCaller(owner=key)),
            seconds=seconds,
            receive=caller.receive,
            send=caller.send,
            work=work,
        )
    except ClientGone:
        pass


async def come_back(
    at: Replica, caller: Caller, stream: str, position: int = 0, *, key: str = KEY
) -> None:
    answer = await at.answers.resume(stream, key, position)
    await answer(caller.receive, caller.send)


async def read_through(replicas: Sequence[Replica], work: Work, breaks: Sequence[int]) -> bytes:
    """What a client has of a stream whose connections break after so many bytes, one after the
    other, and that comes back to the next replica each time."""
    # The first connection has the head at least, or nobody would know where to come back.
    caller = Caller(max(breaks[0], 1) if breaks else None)
    turns = itertools.cycle(replicas)
    await begin(next(turns), caller, work)
    heard, stream, position = caller.whole_events, caller.headers["x-tierflow-stream"], 0
    for limit in [*breaks[1:], None]:
        if caller.complete:
            break
        position = (last_id(heard) or (stream, 0))[1]
        caller = Caller(limit)
        await come_back(next(turns), caller, stream, position)
        heard += caller.whole_events
    assert caller.complete
    return heard
