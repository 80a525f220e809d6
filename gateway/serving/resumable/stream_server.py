"""Streams of this replica, for callers who have come back to another one."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

from gateway.core.ports import Clock, StateStore
from gateway.errors import GatewayError, StateLost, UnknownStream
from gateway.serving.resumable.messages import (
    BEAT_S,
    BROKEN,
    SILENT_S,
    FromAsker,
    FromOwner,
    StreamDropped,
    StreamEvents,
    StreamLeft,
    StreamPull,
    StreamRefused,
    asker_channel,
    encode,
)
from gateway.serving.resumable.stream import EventBatch, StreamBroken, StreamHead, StreamReader
from gateway.serving.resumable.streams import ResumableStreams


@dataclass(slots=True, kw_only=True)
class _ServedReader:
    """A reader at another replica. `refusal`: it is over, and this is what it is told."""

    pull: StreamPull
    heard_at: float
    reader: StreamReader | None = None
    refusal: StreamRefused | None = None
    pulled: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class StreamServer:
    """The owning side of the exchange that `remote_streams` draws."""

    def __init__(self, *, streams: ResumableStreams, store: StateStore, clock: Clock) -> None:
        self._streams = streams
        self._store = store
        self._clock = clock
        self._served: dict[str, _ServedReader] = {}

    def receive(self, message: FromAsker) -> None:
        if isinstance(message, StreamLeft):
            self._forget(message.reader, message.position)
            return
        if isinstance(message, StreamDropped):
            with suppress(UnknownStream):
                self._streams.drop(self._streams.find(message.stream, message.caller))
            return
        served, now = self._served.get(message.reader), self._clock.now()
        if served is None:
            served = self._served[message.reader] = _ServedReader(pull=message, heard_at=now)
            self._connect(served)
            served.task = asyncio.create_task(self._serve(served))
        elif message.after >= served.pull.after:
            served.pull, served.heard_at = message, now
        if message.wanted or served.refusal is not None:
            served.pulled.set()

    def beat(self) -> None:
        """Every BEAT_S: forget those who are silent."""
        now = self._clock.now()
        for id, served in list(self._served.items()):
            if now - served.heard_at > SILENT_S:
                self._forget(id, served.pull.after)

    async def stop(self) -> None:
        tasks = [served.task for served in self._served.values() if served.task]
        for id, served in list(self._served.items()):
            self._forget(id, served.pull.after)
        await asyncio.gather(*tasks, return_exceptions=True)

    def _connect(self, served: _ServedReader) -> None:
        pull = served.pull
        if not pull.opening:
            # It was taken for gone. Its caller may read elsewhere by now, and must not be cut off.
            served.refusal = _refused(pull, BROKEN)
            return
        try:
            stream = self._streams.find(pull.stream, pull.caller)
            served.reader = self._streams.connect(stream, pull.after)
        except GatewayError as error:
            served.refusal = _refused(pull, error.code, error.message)
            return

    def _forget(self, reader: str, position: int) -> None:
        served = self._served.pop(reader, None)
        if served is None:
            return
        if served.reader is not None:
            served.reader.close(position)
        if served.task is not None:
            served.task.cancel()

    async def _serve(self, served: _ServedReader) -> None:
        """Answer each pull: with events, or with none where none come in time."""
        while True:
            await served.pulled.wait()
            served.pulled.clear()
            answer = await self._answer(served)
            with suppress(StateLost):
                await self._publish(served, answer)

    async def _answer(self, served: _ServedReader) -> FromOwner:
        pull, reader = served.pull, served.reader
        if reader is None or served.refusal is not None:
            return served.refusal or _refused(pull, BROKEN)
        batch = EventBatch(b"", pull.after, False)
        try:
            async with asyncio.timeout(BEAT_S):
                batch = await reader.read(pull.after)
        except TimeoutError:
            pass
        except StreamBroken:
            served.refusal = _refused(pull, BROKEN)
        except GatewayError as error:
            served.refusal = _refused(pull, error.code, error.message)
        return served.refusal or _events(pull, batch, reader.head)

    async def _publish(self, served: _ServedReader, answer: FromOwner) -> None:
        channel = asker_channel(served.pull.asker)
        try:
            await self._store.publish(channel, encode(answer))
        except StateLost as lost:
            if lost.code != "state_too_large":
                raise
            served.refusal = _refused(served.pull, "stream_gone", lost.message)
            await self._store.publish(channel, encode(served.refusal))


def _refused(pull: StreamPull, code: str, message: str = "") -> StreamRefused:
    return StreamRefused(reader=pull.reader, code=code, message=message)


def _events(pull: StreamPull, batch: EventBatch, head: StreamHead) -> StreamEvents:
    return StreamEvents(
        reader=pull.reader,
        after=pull.after,
        position=batch.position,
        data=batch.data,
        final=batch.final,
        path=head.path,
        status=head.status,
        headers=head.headers,
    )
