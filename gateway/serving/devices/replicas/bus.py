"""What this replica hears from others, and the tasks that keep it in touch with them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

from gateway.core.ports import Clock, StateStore
from gateway.errors import StateLost
from gateway.serving.devices.leases import Leases
from gateway.serving.devices.registry import MembersRegistry
from gateway.serving.devices.replicas import messages
from gateway.serving.devices.replicas.background import keep_running
from gateway.serving.devices.replicas.outbox import ReplicaOutbox
from gateway.serving.devices.replicas.remote_work import BEAT_S, RemoteWork
from gateway.serving.devices.replicas.remote_work_server import RemoteWorkServer
from gateway.serving.devices.token_watch import TokenWatch

AGAIN_S = 1.0
FAREWELL_S = 2.0


class ReplicaBus:
    """`start` and `stop` inside the event loop."""

    def __init__(
        self,
        *,
        store: StateStore,
        registry: MembersRegistry,
        remote_work: RemoteWork,
        replica_outbox: ReplicaOutbox,
        leases: Leases,
        clock: Clock,
        watch: TokenWatch,
    ) -> None:
        self._store = store
        self._registry = registry
        self._remote_work = remote_work
        self._replica_outbox = replica_outbox
        self._leases = leases
        self._clock = clock
        self._watch = watch
        self._remote_work_server = RemoteWorkServer(
            replica=registry.replica,
            replica_outbox=replica_outbox,
            clock=clock,
            assign=registry.assign_here,
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._deaf: list[Callable[[], None]] = []

    def start(self) -> None:
        runs: dict[str, Callable[[], Awaitable[None]]] = {
            "replica_outbox": self._replica_outbox.run,
            "leases": self._leases.run,
            "tokens": self._watch.run,
            "heartbeats": self._beat,
        }
        for channel in (
            messages.DEVICES,
            messages.work_channel(self._registry.replica),
            messages.replies_channel(self._registry.replica),
        ):
            runs[channel.partition(":")[0]] = partial(self._listen, channel)
        self._tasks = [asyncio.create_task(keep_running(name, run)) for name, run in runs.items()]

    async def stop(self) -> None:
        relays = self._remote_work_server.close()
        await asyncio.gather(*relays, return_exceptions=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_S):
                await self._replica_outbox.flush()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for stop in self._deaf:
            stop()
        await self._leases.stop()

    async def _listen(self, channel: str) -> None:
        """Until the store takes it: the gateway may start before the store does."""
        while True:
            try:
                self._deaf.append(await self._store.listen(channel, self._hear))
                return
            except StateLost:
                await asyncio.sleep(AGAIN_S)

    def _hear(self, data: bytes) -> None:
        for message in messages.decode(data):
            self._take(message)

    def _take(self, message: messages.Message) -> None:
        if isinstance(message, messages.ToAsker):
            self._remote_work.take(message)
        elif isinstance(message, messages.ToOwner):
            self._remote_work_server.take(message)
        elif isinstance(message, messages.DeviceJoined):
            self._joined(message)
        elif isinstance(message, messages.DeviceLeft):
            self._registry.peers.left(message.device, message.replica)
        else:
            self._watch.revoked(message.device, message.digest)

    def _joined(self, message: messages.DeviceJoined) -> None:
        member = message.member
        if member.replica == self._registry.replica:
            return
        entry = self._registry.entry(member.id)
        if entry is not None:
            claimed = entry.membership.claimed
            if claimed is None or claimed.instance != member.instance:
                return  # The store will say whose the lease is.
            self._registry.give_up(
                member.id, "replaced", "the device has come back at another replica"
            )
        self._registry.peers.joined(member, self._clock.now())

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            self._remote_work.beat()
            self._remote_work_server.beat()
