"""The replica's line to the others: it hears their messages, and runs the tasks that keep in touch.

store's channels                        to
  devices            DeviceJoined ----> PeerDevices, or the end of a connection here
                     DeviceLeft   ----> PeerDevices
                     TokenRevoked ----> TokenWatch: the end of a connection here
  work:<replica>     ToOwner      ----> RemoteWorkServer
  replies:<replica>  ToAsker      ----> RemoteWork
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from functools import partial

from gateway.core.ports import Clock, StateStore
from gateway.serving.devices.leases import Leases
from gateway.serving.devices.registry import MembersRegistry
from gateway.serving.devices.replicas import messages
from gateway.serving.devices.replicas.outbox import ReplicaOutbox
from gateway.serving.devices.replicas.remote_work import BEAT_S, RemoteWork, RemoteWorkServer
from gateway.serving.devices.tokens import TokenWatch
from gateway.serving.tasks import keep_running

FAREWELL_S = 2.0


class ReplicaBus:
    """The bus between replicas: it delivers their messages, and runs everything that keeps this
    replica in touch with them. `start` and `stop` inside the event loop."""

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
        uniform: Callable[[], float],
    ) -> None:
        self._store = store
        self._registry = registry
        self._remote_work = remote_work
        self._replica_outbox = replica_outbox
        self._leases = leases
        self._clock = clock
        self._watch = watch
        self._uniform = uniform
        self._remote_work_server = RemoteWorkServer(
            replica=registry.replica,
            replica_outbox=replica_outbox,
            clock=clock,
            assign=registry.assign_for_peer,
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._subscriptions: list[Callable[[], None]] = []

    def start(self) -> None:
        runs: dict[str, Callable[[], Awaitable[None]]] = {
            "outbox": self._replica_outbox.run,
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
        self._tasks = [
            asyncio.create_task(keep_running(name, run, self._uniform))
            for name, run in runs.items()
        ]

    async def stop(self) -> None:
        """Every step is done, whatever fails in another."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._leases.stop)
            stack.callback(self._unsubscribe)
            stack.push_async_callback(self._stop_tasks)
            stack.push_async_callback(self._flush)
            relays = self._remote_work_server.close()
            await asyncio.gather(*relays, return_exceptions=True)

    async def _flush(self) -> None:
        """Send the messages that still wait, within FAREWELL_S."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_S):
                await self._replica_outbox.flush()

    async def _stop_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _unsubscribe(self) -> None:
        for unsubscribe in self._subscriptions:
            unsubscribe()

    async def _listen(self, channel: str) -> None:
        self._subscriptions.append(await self._store.listen(channel, self._receive))

    def _receive(self, data: bytes) -> None:
        for message in messages.decode(data):
            self._deliver(message)

    def _deliver(self, message: messages.Message) -> None:
        if isinstance(message, messages.ToAsker):
            self._remote_work.receive(message)
        elif isinstance(message, messages.ToOwner):
            self._remote_work_server.receive(message)
        elif isinstance(message, messages.DeviceJoined):
            self._joined(message)
        elif isinstance(message, messages.DeviceLeft):
            self._registry.peers.remove(message.device, message.replica)
        else:
            self._watch.revoked(message.device, message.digest)

    def _joined(self, message: messages.DeviceJoined) -> None:
        member = message.member
        if member.replica == self._registry.replica:
            return
        own = self._registry.find_own(member.id)
        if own is not None:
            claimed = own.membership.claimed
            if claimed is None or claimed.instance != member.instance:
                return  # The store will say whose the lease is.
            self._registry.evict_moved(member.id)
        self._registry.peers.add(member, self._clock.now())

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            self._remote_work.beat()
            self._remote_work_server.beat()
