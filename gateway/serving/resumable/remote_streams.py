"""Streams of other replicas: the side that a caller has come back to, and the side that has them.

    asker: RemoteStreams                          owner: StreamServer
      StreamPull {reader, stream, after: 7} ---->   connects the reader to the stream
                                           <----   StreamEvents {after: 7, position: 9, data}
      StreamPull {after: 9}                ---->   waits for more
                                           <----   StreamEvents {after: 9, position: 9}, nothing yet
      StreamPull {wanted: false}           ---->   the caller reads slowly, and is still there
      StreamLeft {position: 9}             ---->   the caller is away, or has everything
      StreamDropped {stream}               ---->   ends the stream: nobody wants it

The asker pulls, so nothing waits anywhere. It pulls again every BEAT_S: a message that the store
has lost costs that time and nothing else, and events that come twice are told by `after`. A side
that hears nothing for SILENT_S takes the other for gone: the owner's stream is alone again, the
asker's caller is told that the stream is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from gateway.core.ports import Clock, StateStore
from gateway.errors import StateLost, StreamGone
from gateway.serving.resumable.messages import (
    BROKEN,
    SILENT_S,
    FromOwner,
    StreamDropped,
    StreamLeft,
    StreamPull,
    StreamRefused,
    encode,
    owner_channel,
)
from gateway.serving.resumable.stream import (
    EventBatch,
    Reader,
    StreamBroken,
    StreamHead,
    stream_replaced,
)
from gateway.serving.resumable.streams import unknown_stream


def stream_lost() -> StreamGone:
    return StreamGone(
        "the replica that had this stream does not answer: it has ended, and the stream with it; "
        "send the request anew",
        code="stream_lost",
    )


class RemoteReader:
    """The `Reader` of another replica's stream."""

    def __init__(
        self, *, remote: RemoteStreams, id: str, owner: str, stream: str, caller: str, position: int
    ) -> None:
        self.id = id
        self.owner = owner
        self.stream = stream
        self.caller = caller
        self.position = position
        self.heard_at = remote.clock.now()
        self._remote = remote
        self._head: StreamHead | None = None
        self._answer: asyncio.Future[EventBatch] | None = None
        self._first: EventBatch | None = None

    @property
    def head(self) -> StreamHead:
        if self._head is None:
            raise AssertionError("the owner has not answered yet")
        return self._head

    async def open(self) -> None:
        """Wait for the owner's first answer. Raises UnknownStream, StreamGone or StateLost."""
        self._first = await self._pull(self.position)

    async def read(self, position: int) -> EventBatch:
        first, self._first = self._first, None
        if first is not None and (first.data or first.final):
            return first
        while True:
            batch = await self._pull(position)
            if batch.data or batch.final:
                return batch

    def close(self, position: int) -> None:
        self.position = position
        self._remote.forget(self)

    def pull(self) -> StreamPull:
        """What tells the owner how far this reader is."""
        return StreamPull(
            reader=self.id,
            asker=self._remote.replica,
            stream=self.stream,
            caller=self.caller,
            after=self.position,
            wanted=self._answer is not None,
            opening=self._head is None,
        )

    def receive(self, message: FromOwner) -> None:
        self.heard_at = self._remote.clock.now()
        if isinstance(message, StreamRefused):
            self.fail(_refusal(message))
        elif self._answer is not None and message.after == self.position:
            self._head = StreamHead(message.path, message.status, message.headers)
            batch = EventBatch(message.data, message.position, message.final)
            if not self._answer.done():
                self._answer.set_result(batch)

    def fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)

    async def _pull(self, position: int) -> EventBatch:
        self.position = position
        self._answer = asyncio.get_running_loop().create_future()
        # It counts from here: while the caller read slowly, there was nothing to hear.
        self.heard_at = self._remote.clock.now()
        try:
            await self._remote.send(self)
            return await self._answer
        finally:
            self._answer = None


def _refusal(message: StreamRefused) -> Exception:
    if message.code == "stream_replaced":
        return stream_replaced()
    if message.code == BROKEN:
        return StreamBroken()
    if message.code == "unknown_stream":
        return unknown_stream()
    return StreamGone(message.message, code=message.code)


class RemoteStreams:
    """The asking side: readers of this replica at other replicas' streams. `new_id` gives what
    nobody can guess. `start` and `stop` inside the event loop."""

    def __init__(
        self, *, replica: str, store: StateStore, clock: Clock, new_id: Callable[[], str]
    ) -> None:
        self.replica = replica
        self.clock = clock
        self._store = store
        self._new_id = new_id
        self._readers: dict[str, RemoteReader] = {}
        self._farewells: set[asyncio.Task[None]] = set()

    async def open(self, owner: str, stream: str, caller: str, position: int) -> Reader:
        """A reader of a stream that the replica `owner` has. Raises UnknownStream, StreamGone or
        StateLost."""
        reader = RemoteReader(
            remote=self,
            id=self._new_id(),
            owner=owner,
            stream=stream,
            caller=caller,
            position=position,
        )
        self._readers[reader.id] = reader
        try:
            await reader.open()
        except BaseException:
            self.forget(reader)
            raise
        return reader

    async def drop(self, owner: str, stream: str, caller: str) -> None:
        """End a stream of the replica `owner`. Raises StateLost."""
        await self._store.publish(owner_channel(owner), encode(StreamDropped(stream, caller)))

    async def send(self, reader: RemoteReader) -> None:
        await self._store.publish(owner_channel(reader.owner), encode(reader.pull()))

    def receive(self, message: FromOwner) -> None:
        if (reader := self._readers.get(message.reader)) is not None:
            reader.receive(message)

    def forget(self, reader: RemoteReader) -> None:
        """Tell the owner, which would find out by the silence."""
        if self._readers.pop(reader.id, None) is not None:
            task = asyncio.create_task(self._say_farewell(reader))
            self._farewells.add(task)
            task.add_done_callback(self._farewells.discard)

    async def beat(self) -> None:
        """Every BEAT_S: pull again what is waited for, and say who is still there."""
        now = self.clock.now()
        for reader in list(self._readers.values()):
            if reader.pull().wanted and now - reader.heard_at > SILENT_S:
                reader.fail(stream_lost())
                continue
            try:
                await self.send(reader)
            except StateLost as lost:
                reader.fail(lost)

    async def stop(self) -> None:
        await asyncio.gather(*self._farewells, return_exceptions=True)

    async def _say_farewell(self, reader: RemoteReader) -> None:
        message = encode(StreamLeft(reader.id, reader.position))
        with suppress(StateLost):
            await self._store.publish(owner_channel(reader.owner), message)
