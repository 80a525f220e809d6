"""A stream that outlives its connection: work writes it, one connection at a time reads it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gateway.core.streams.event_log import EventLog
from gateway.errors import Conflict

MAX_UNREAD_BYTES = 64 * 1024
"""The work waits while so much has not been sent to a caller that is there, as it would wait for
the caller's connection itself."""
MAX_BATCH_BYTES = 256 * 1024


class StreamBroken(Exception):
    """The stream's work ended without an end of the stream."""


@dataclass(frozen=True, slots=True)
class StreamHead:
    """The head of a stream's response: the status, and names and values of the headers. `path` is
    the route of the request."""

    path: str
    status: int
    headers: tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Events that follow one another. `position` is the number of the last of them, `final`: the
    stream ends with it."""

    data: bytes
    position: int
    final: bool


def stream_replaced() -> Conflict:
    return Conflict(
        "this stream is read on a newer connection of the same caller", code="stream_replaced"
    )


class Reader(Protocol):
    """A connection's way to one stream. `position` is where the connection begins.

    `read` waits for events after a position, up to which everything has been sent. It raises
    Conflict when a newer connection takes over, StreamGone, StreamBroken or StateLost. `close` is
    idempotent; it takes the position up to which everything has been sent.
    """

    position: int

    @property
    def head(self) -> StreamHead: ...

    async def read(self, position: int) -> EventBatch: ...

    def close(self, position: int) -> None: ...


class ResumableStream:
    """A stream of this replica. `caller` is the digest of who owns it, a different one for each
    stream, and `owner` the one that is the same for all of a caller's streams. `seconds` is how
    long it lives without its caller, `work` what writes it. `delivered_to` is the number of the
    last event that a connection took. `grown` is called after each piece."""

    def __init__(
        self,
        *,
        id: str,
        caller: str,
        owner: str,
        seconds: float,
        head: StreamHead,
        grown: Callable[[ResumableStream], None],
    ) -> None:
        self.id = id
        self.caller = caller
        self.owner = owner
        self.seconds = seconds
        self.head = head
        self.log = EventLog(id)
        self.ended = False
        self.broken = False
        self.delivered_to = 0
        self.work: asyncio.Task[None] | None = None
        self._grown = grown
        self._reader: StreamReader | None = None
        self._changed = asyncio.Event()
        self._sent = asyncio.Event()

    @property
    def connected(self) -> bool:
        return self._reader is not None

    @property
    def delivered(self) -> bool:
        """Whether a connection took the whole stream."""
        return self.ended and self.delivered_to == self.log.last

    @property
    def sent(self) -> int:
        """The number of the last event that no reader needs any more."""
        return self.log.last if self._reader is None else self._reader.position

    async def write(self, data: bytes) -> None:
        """Add events, and wait for a caller that is there and reads slowly."""
        self.log.append(data)
        self._grown(self)
        self._changed.set()
        while self._reader and self.log.bytes_since(self._reader.position) > MAX_UNREAD_BYTES:
            self._sent.clear()
            await self._sent.wait()

    def end(self) -> None:
        self.ended = True
        self._changed.set()

    def abort(self) -> None:
        """The work is over. Where the stream has no end, whoever reads it hears that."""
        self.broken = not self.ended
        self._changed.set()

    def connect(self, reader: StreamReader | None) -> None:
        """Let this reader take over, or nobody."""
        self._reader = reader
        self._sent.set()
        self._changed.set()

    def read_by(self, reader: StreamReader) -> bool:
        return self._reader is reader

    async def read(self, reader: StreamReader, position: int) -> EventBatch:
        while True:
            if self._reader is not reader:
                raise stream_replaced()
            reader.position = self.delivered_to = position
            self._sent.set()
            data, last = self.log.since(position, MAX_BATCH_BYTES)
            if data or self.ended:
                return EventBatch(data, last, self.ended and last == self.log.last)
            if self.broken:
                raise StreamBroken
            self._changed.clear()
            await self._changed.wait()


class StreamReader:
    """The `Reader` of a stream of this replica. `closed` is called once, unless it was replaced."""

    def __init__(
        self, stream: ResumableStream, position: int, closed: Callable[[StreamReader], None]
    ) -> None:
        self.stream = stream
        self.position = position
        self._closed = closed

    @property
    def head(self) -> StreamHead:
        return self.stream.head

    async def read(self, position: int) -> EventBatch:
        return await self.stream.read(self, position)

    def close(self, position: int) -> None:
        if self.stream.read_by(self):
            self.stream.delivered_to = position
            self._closed(self)
