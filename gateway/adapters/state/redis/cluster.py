"""A cluster: each command goes to the master of its key's slot, to all masters at once."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import AskError, ConnectionError, MovedError

from gateway.adapters.state.redis.connection import Address, Target
from gateway.adapters.state.redis.functions import Library
from gateway.adapters.state.redis.route import Command, connection_of, load_into, pipelined
from gateway.adapters.state.redis.topology import Topology

MAX_REDIRECTIONS = 3


class Cluster:
    """A Redis cluster: commands go to the master that has their slot."""

    def __init__(self, target: Target, timeout_s: float) -> None:
        self._topology = Topology(target, timeout_s)

    async def send(self, commands: Sequence[Command]) -> list[Any]:
        slots = await self._topology.slots()
        replies: list[Any] = [None] * len(commands)
        todo: dict[int, tuple[Address, bool]] = {}
        for index, command in enumerate(commands):
            address = slots.master_of(command.key)
            if address is None:
                raise ConnectionError("no node has the key's slot")
            todo[index] = address, False
        for _ in range(1 + MAX_REDIRECTIONS):
            await self._send_to_each(commands, todo, replies)
            todo = {i: way for i in todo if (way := self._redirected(replies[i], todo[i][0]))}
            if not todo:
                break
            self.failed()
        return replies

    async def load(self, library: Library) -> None:
        slots = await self._topology.slots()
        clients = [self._topology.client(address) for address in slots.masters]
        # One that is away now is told when it is found without.
        await asyncio.gather(
            *(load_into(client, library) for client in clients), return_exceptions=True
        )

    @asynccontextmanager
    async def _listening(self) -> Any:
        slots = await self._topology.slots()
        async with connection_of(self._topology.client(random.choice(slots.masters))) as connection:
            yield connection

    def listening(self) -> AbstractAsyncContextManager[AbstractConnection]:
        """To any node: the nodes pass messages on to one another."""
        connection: AbstractAsyncContextManager[AbstractConnection] = self._listening()
        return connection

    def failed(self) -> None:
        self._topology.refresh()

    async def close(self) -> None:
        await self._topology.close()

    async def _send_to_each(
        self,
        commands: Sequence[Command],
        todo: dict[int, tuple[Address, bool]],
        replies: list[Any],
    ) -> None:
        parts: dict[Address, list[int]] = defaultdict(list)
        for index, (address, _) in todo.items():
            parts[address].append(index)

        async def send_to(address: Address, part: Sequence[int]) -> None:
            words: list[Sequence[str | bytes]] = []
            for index in part:
                words += [("ASKING",)] if todo[index][1] else []
                words.append(commands[index].words)
            raw = await pipelined(self._topology.client(address), words)
            own = [reply for word, reply in zip(words, raw, strict=True) if word != ("ASKING",)]
            for index, reply in zip(part, own, strict=True):
                replies[index] = reply

        results = await asyncio.gather(
            *(send_to(address, part) for address, part in parts.items()), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result

    def _redirected(self, reply: Any, node: Address) -> tuple[Address, bool] | None:
        """Where the command must go instead, and whether the node has to be told to take it."""
        if isinstance(reply, AskError):  # MovedError is one too
            address = (reply.host or node[0], int(reply.port))
            return address, not isinstance(reply, MovedError)
        return None
