"""The replica's line to the others about streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.core.ports import StateStore
from gateway.serving.resumable.messages import (
    BEAT_S,
    FromAsker,
    asker_channel,
    decode,
    owner_channel,
)
from gateway.serving.resumable.remote_streams import RemoteStreams
from gateway.serving.resumable.stream_server import StreamServer
from gateway.serving.tasks import keep_running


class StreamBus:
    """The line: it hears other replicas' messages, and keeps in touch. `start` and `stop` inside
    the event loop."""

    def __init__(
        self,
        *,
        replica: str,
        store: StateStore,
        remote: RemoteStreams,
        server: StreamServer,
        uniform: Callable[[], float],
    ) -> None:
        self._replica = replica
        self._store = store
        self._remote = remote
        self._server = server
        self._uniform = uniform
        self._heartbeat: asyncio.Task[None] | None = None
        self._subscriptions: list[Callable[[], None]] = []

    async def start(self) -> None:
        for channel in (owner_channel(self._replica), asker_channel(self._replica)):
            self._subscriptions.append(await self._store.listen(channel, self._receive))
        self._heartbeat = asyncio.create_task(keep_running("streams", self._beat, self._uniform))

    async def stop(self) -> None:
        if self._heartbeat is not None:
            self._heartbeat.cancel()
            await asyncio.gather(self._heartbeat, return_exceptions=True)
        await self._server.stop()
        await self._remote.stop()
        for unsubscribe in self._subscriptions:
            unsubscribe()

    def _receive(self, data: bytes) -> None:
        message = decode(data)
        if isinstance(message, FromAsker):
            self._server.receive(message)
        elif message is not None:
            self._remote.receive(message)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            self._server.beat()
            await self._remote.beat()
