"""All resumable streams of this replica, within their bounds, and when each of them ends."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.core.ports import ResumableTelemetry
from gateway.core.streams.event_log import stream_id
from gateway.errors import StreamGone, UnknownStream
from gateway.serving.resumable.stream import ResumableStream, StreamHead, StreamReader


def caller_digest(stream: str, owner: str) -> str:
    """Who owns the stream: SHA-256 of its caller's `owner`, different for each stream."""
    content = f"{stream}\0{owner}".encode("latin-1", "replace")
    return hashlib.sha256(content).hexdigest()


def unknown_stream() -> UnknownStream:
    return UnknownStream(
        "there is no such stream for this caller: it ended too long ago, is another caller's, or "
        "was never there; send the request anew",
        code="unknown_stream",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLimits:
    """How long a stream may live without its caller (seconds; 0: none is resumable), how many such
    streams there may be, and the bytes of one stream and of all."""

    max_s: float
    max_away: int
    max_stream_bytes: int
    max_bytes: int


class ResumableStreams:
    """The resumable streams of this replica, by id.

    A stream whose caller is away ends after its time, or where there are too many of these, or all
    streams together are too large. `new_id` gives 32 hex digits that nobody can guess.
    """

    def __init__(
        self,
        *,
        replica: str,
        limits: StreamLimits,
        telemetry: ResumableTelemetry,
        new_id: Callable[[], str],
    ) -> None:
        self.replica = replica
        self.limits = limits
        self.kept_bytes = 0
        self._telemetry = telemetry
        self._new_id = new_id
        self._streams: dict[str, ResumableStream] = {}
        self._sizes: dict[str, int] = {}
        self._away = OrderedDict[str, asyncio.TimerHandle]()
        self._delivered = OrderedDict[str, asyncio.TimerHandle]()
        self._works: set[asyncio.Task[None]] = set()

    def by_state(self) -> Mapping[str, int]:
        """The number of streams that are connected to their caller, of those whose caller is away,
        and of those that were sent to their end."""
        away, delivered = len(self._away), len(self._delivered)
        connected = len(self._streams) - away - delivered
        return {"connected": connected, "away": away, "delivered": delivered}

    @property
    def undelivered(self) -> int:
        """The number of streams that no connection has had whole."""
        return sum(not stream.delivered for stream in self._streams.values())

    def open(
        self, *, owner: str, seconds: float, head: StreamHead, work: asyncio.Task[None]
    ) -> ResumableStream:
        """A new stream, whose caller is not connected yet. `work` will write it. The head is
        completed with the stream's own headers by whoever reads it."""
        id = stream_id(self.replica, self._new_id())
        stream = ResumableStream(
            id=id,
            caller=caller_digest(id, owner),
            owner=caller_digest("", owner),
            seconds=seconds,
            head=head,
            grown=self._grown,
        )
        stream.work = work
        self._works.add(work)
        work.add_done_callback(lambda _: self._over(stream))
        self._streams[id] = stream
        self._leave(stream)
        return stream

    def find(self, id: str, caller: str) -> ResumableStream:
        """Raises UnknownStream also for another caller's."""
        stream = self._streams.get(id)
        if stream is None or not hmac.compare_digest(stream.caller, caller):
            raise unknown_stream()
        return stream

    def connect(self, stream: ResumableStream, position: int) -> StreamReader:
        """Let a caller read from this position on; one that reads the stream already is replaced.
        Raises StreamGone, and UnknownStream for a position that the stream has not reached."""
        if position > stream.log.last:
            raise unknown_stream()
        try:
            stream.log.since(position, 1)
        except StreamGone:
            self._telemetry.lost("overflown")
            raise
        self._return(stream)
        reader = StreamReader(stream, position, self._closed)
        stream.connect(reader)
        return reader

    def drop(self, stream: ResumableStream) -> None:
        """End a stream that its caller wants no longer."""
        self._forget(stream)

    async def close(self) -> None:
        """End all streams and their work."""
        for stream in list(self._streams.values()):
            self._end(stream, "stopped")
        await asyncio.gather(*self._works, return_exceptions=True)

    def _closed(self, reader: StreamReader) -> None:
        stream = reader.stream
        stream.connect(None)
        if stream.id in self._streams:
            self._leave(stream)
            self._grown(stream)

    def _leave(self, stream: ResumableStream) -> None:
        timer = asyncio.get_running_loop().call_later(stream.seconds, self._end, stream, "expired")
        self._file(stream, timer)

    def _file(self, stream: ResumableStream, timer: asyncio.TimerHandle) -> None:
        where = self._delivered if stream.delivered else self._away
        where[stream.id] = timer

    def _return(self, stream: ResumableStream) -> None:
        for where in (self._away, self._delivered):
            if (timer := where.pop(stream.id, None)) is not None:
                timer.cancel()

    def _grown(self, stream: ResumableStream) -> None:
        """The stream has changed: keep it and all of them within their bounds."""
        if stream.id not in self._streams:
            return
        limits = self.limits
        stream.log.trim(limits.max_stream_bytes, stream.sent)
        self._measure(stream)
        while self._alone > limits.max_away or self.kept_bytes > limits.max_bytes:
            evicted = self._evictable()
            if evicted is None:
                # Every caller is there. What this one has been sent is kept no longer.
                stream.log.trim(0, stream.sent)
                self._measure(stream)
                return
            self._end(evicted, "evicted")

    @property
    def _alone(self) -> int:
        return len(self._away) + len(self._delivered)

    def _evictable(self) -> ResumableStream | None:
        """Of those whose caller is away: the oldest that was sent to its end, else the oldest of
        the caller that has most of them, so that nobody takes the room of all others."""
        for id in self._delivered:
            return self._streams[id]
        away = [self._streams[id] for id in self._away]
        for owner, _ in Counter(stream.owner for stream in away).most_common(1):
            return next(stream for stream in away if stream.owner == owner)
        return None

    def _measure(self, stream: ResumableStream) -> None:
        if stream.id not in self._streams:
            return
        size = stream.log.kept_bytes
        self.kept_bytes += size - self._sizes.get(stream.id, 0)
        self._sizes[stream.id] = size

    def _over(self, stream: ResumableStream) -> None:
        """The work is over. A stream that it left without an end is of no use to anybody."""
        if stream.work is not None:
            self._works.discard(stream.work)
        stream.abort()
        if stream.broken:
            self._end(stream, "broken")
        elif stream.delivered and (timer := self._away.pop(stream.id, None)) is not None:
            # Many callers leave as soon as they have read the last event.
            self._file(stream, timer)

    def _end(self, stream: ResumableStream, reason: str) -> None:
        if self._forget(stream) and not stream.delivered:
            self._telemetry.lost(reason)

    def _forget(self, stream: ResumableStream) -> bool:
        """Give the stream up, and its work. False where that has happened."""
        if self._streams.pop(stream.id, None) is None:
            return False
        self._return(stream)
        self.kept_bytes -= self._sizes.pop(stream.id, 0)
        if stream.work is not None:
            stream.work.cancel()
        return True
