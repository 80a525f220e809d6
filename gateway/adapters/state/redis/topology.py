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
    """The topology of a cluster, as its nodes tell it. `look` asks for it anew; meanwhile
    callers go on by what is known. `timeout_s` is each node's."""

    def __init__(self, target: Target, timeout_s: float) -> None:
        self._target = target
        self._timeout_s = timeout_s
        self._clients: dict[Address, Redis] = {}
        self._slots: SlotMap | None = None
        self._looking: asyncio.Task[None] | None = None

    def look(self) -> asyncio.Task[None]:
        """One look at a time, which may be under way already."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
            self._looking.add_done_callback(_heard)
        return self._looking

    async def slots(self) -> SlotMap:
        """As known, or as the first look finds them. Raises RedisError when no node answers."""
        if self._slots is None:
            await asyncio.shield(self.look())
        assert self._slots is not None
        return self._slots

    def client(self, address: Address) -> Redis:
        client = self._clients.get(address)
        if client is None:
            client = self._clients[address] = client_to(self._target, address)
        return client

    async def _look(self) -> None:
        """Ask the nodes in turn until one answers. Raises ConnectionError when none does."""
        known = self._slots.masters if self._slots else ()
        asked = list(dict.fromkeys((*random.sample(known, len(known)), *self._target.addresses)))
        problem = ""
        for address in asked:
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
        wanted = {*self._slots.masters, *self._target.addresses}
        gone = [self._clients.pop(address) for address in self._clients.keys() - wanted]
        await asyncio.gather(*(disconnect(client) for client in gone))

    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        clients = list(self._clients.values())
        self._clients.clear()
        await asyncio.gather(*(disconnect(client) for client in clients))


def _heard(task: asyncio.Task[None]) -> None:
    """Who waits for it gets the error too; nobody need."""
    if not task.cancelled():
        task.exception()
