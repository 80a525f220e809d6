"""What a cluster is made of: its masters, which slots each has, and a client of each node."""

from __future__ import annotations

import asyncio
import random

from redis.asyncio import Redis
from redis.exceptions import ConnectionError, RedisError

from gateway.adapters.state.redis.connection import Address, Target, client_to
from gateway.adapters.state.redis.route import disconnect, pipelined
from gateway.adapters.state.redis.slots import SlotMap, read_slots


class Topology:
    """The topology of a cluster, as its nodes tell it. `refresh` asks for it anew; meanwhile
    callers go on by what is known. `timeout_s` is each node's."""

    def __init__(self, target: Target, timeout_s: float) -> None:
        self._target = target
        self._timeout_s = timeout_s
        self._clients: dict[Address, Redis] = {}
        self._slots: SlotMap | None = None
        self._refreshing: asyncio.Task[None] | None = None

    def refresh(self) -> asyncio.Task[None]:
        """One refresh at a time, which may be under way already."""
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._ask_nodes())
            self._refreshing.add_done_callback(_retrieve_error)
        return self._refreshing

    async def slots(self) -> SlotMap:
        """As known, or as the first refresh finds them. Raises RedisError when no node answers."""
        if self._slots is None:
            await asyncio.shield(self.refresh())
        assert self._slots is not None
        return self._slots

    def client(self, address: Address) -> Redis:
        client = self._clients.get(address)
        if client is None:
            client = self._clients[address] = client_to(self._target, address)
        return client

    async def _ask_nodes(self) -> None:
        """Ask the nodes in turn until one answers. Raises ConnectionError when none does."""
        known = self._slots.masters if self._slots else ()
        addresses = list(
            dict.fromkeys((*random.sample(known, len(known)), *self._target.addresses))
        )
        problem = ""
        for address in addresses:
            try:
                async with asyncio.timeout(self._timeout_s):
                    (reply,) = await pipelined(self.client(address), [("CLUSTER", "SLOTS")])
            except (RedisError, OSError) as error:
                problem = problem or type(error).__name__
                continue
            if isinstance(reply, Exception):
                raise reply
            self._slots = read_slots(reply, address)
            await self._drop_others()
            return
        raise ConnectionError(f"no node of the cluster answers ({problem})")

    async def _drop_others(self) -> None:
        assert self._slots is not None
        current = {*self._slots.masters, *self._target.addresses}
        gone = [self._clients.pop(address) for address in self._clients.keys() - current]
        await asyncio.gather(*(disconnect(client) for client in gone))

    async def close(self) -> None:
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.gather(self._refreshing, return_exceptions=True)
        clients = list(self._clients.values())
        self._clients.clear()
        await asyncio.gather(*(disconnect(client) for client in clients))


def _retrieve_error(task: asyncio.Task[None]) -> None:
    """Retrieve the error of a task that nobody may be waiting for: asyncio would log it else."""
    if not task.cancelled():
        task.exception()
