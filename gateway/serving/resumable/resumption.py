"""The way back to a stream, wherever it is."""

from __future__ import annotations

from gateway.core.ports import ResumableTelemetry
from gateway.core.streams.event_log import replica_of
from gateway.errors import StreamGone
from gateway.serving.resumable.remote_streams import RemoteStreams, stream_lost
from gateway.serving.resumable.stream import Reader
from gateway.serving.resumable.streams import ResumableStreams, caller_digest, unknown_stream


class Resumption:
    """The way back to a stream of this replica, or of another one; `remote` is None where the
    replicas share nothing."""

    def __init__(
        self,
        *,
        streams: ResumableStreams,
        remote: RemoteStreams | None,
        telemetry: ResumableTelemetry,
    ) -> None:
        self._streams = streams
        self._remote = remote
        self._telemetry = telemetry

    async def resume(self, stream: str, owner: str, position: int) -> Reader:
        """A reader of what follows the event of this number; 0: of the whole stream.

        Raises UnknownStream, also for another caller than the one that began the stream;
        StreamGone; and StateLost where another replica has it.
        """
        caller, replica = caller_digest(stream, owner), _replica(stream)
        if replica == self._streams.replica:
            reader: Reader = self._streams.connect(self._streams.find(stream, caller), position)
            self._telemetry.resumed("own")
            return reader
        try:
            if self._remote is None:
                raise stream_lost()
            reader = await self._remote.open(replica, stream, caller, position)
        except StreamGone as error:
            if error.code == "stream_lost":
                self._telemetry.lost("replica_gone")
            raise
        self._telemetry.resumed("other")
        return reader

    async def drop(self, stream: str, owner: str) -> None:
        """End a stream that its caller wants no longer. Raises UnknownStream for one that is known
        here not to exist, and StateLost where another replica has it."""
        caller, replica = caller_digest(stream, owner), _replica(stream)
        if replica == self._streams.replica:
            self._streams.drop(self._streams.find(stream, caller))
        elif self._remote is not None:
            await self._remote.drop(replica, stream, caller)


def _replica(stream: str) -> str:
    replica = replica_of(stream)
    if replica is None:
        raise unknown_stream()
    return replica
