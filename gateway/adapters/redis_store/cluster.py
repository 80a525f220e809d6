"""A cluster: each command goes to the master of its key's slot, to all masters at once."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import AskError, ConnectionError, MovedError, RedisError

from gateway.adapters.redis_store.connecting import Address, Target, client_to
from gateway.adapters.redis_store.functions import Library
from gateway.adapters.redis_store.route import (
    Command,
    connection_of,
    disconnect,
    load_into,
    pipelined,
)
from gateway.adapters.redis_store.slots import SlotMap, read_slots

MAX_REDIRECTIONS = 3


class Cluster:
    def __init__(self, target: Target, timeout_s: float) -> None:
        self._target = target
        self._timeout_s = timeout_s
        self._clients: dict[Address, Redis] = {}
        self._slots: SlotMap | None = None
        self._looking: asyncio.Task[None] | None = None

    async def send(self, commands: Sequence[Command]) -> list[Any]:
        slots = self._slots or await self._slots_now()
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
        slots = self._slots or await self._slots_now()
        clients = [self._client(address) for address in slots.masters]
        # One that is away now is told when it is found without.
        await asyncio.gather(
            *(load_into(client, library) for client in clients), return_exceptions=True
        )

    @asynccontextmanager
    async def _listening(self) -> Any:
        slots = self._slots or await self._slots_now()
        async with connection_of(self._client(random.choice(slots.masters))) as connection:
            yield connection

    def listening(self) -> AbstractAsyncContextManager[AbstractConnection]:
        """To any node: the nodes pass messages on to one another."""
        found: AbstractAsyncContextManager[AbstractConnection] = self._listening()
        return found

    def failed(self) -> None:
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
            self._looking.add_done_callback(_heard)

    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        clients = list(self._clients.values())
        self._clients.clear()
        await asyncio.gather(*(disconnect(client) for client in clients))

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
            found = await pipelined(self._client(address), words)
            answers = [f for w, f in zip(words, found, strict=True) if w != ("ASKING",)]
            for index, answer in zip(part, answers, strict=True):
                replies[index] = answer

        results = await asyncio.gather(
            *(send_to(address, part) for address, part in parts.items()), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result

    def _redirected(self, reply: Any, asked: Address) -> tuple[Address, bool] | None:
        """Where the command must go instead, and whether the node has to be told to take it."""
        if isinstance(reply, AskError):  # MovedError is one too
            address = (reply.host or asked[0], int(reply.port))
            return address, not isinstance(reply, MovedError)
        return None

    def _client(self, address: Address) -> Redis:
        client = self._clients.get(address)
        if client is None:
            client = self._clients[address] = client_to(self._target, address)
        return client

    async def _slots_now(self) -> SlotMap:
        """As one look finds them that may be under way for others as well."""
        self.failed()
        assert self._looking is not None
        await asyncio.shield(self._looking)
        assert self._slots is not None
        return self._slots

    async def _look(self) -> None:
        """Ask the nodes in turn until one answers. Raises ConnectionError when none does."""
        known = self._slots.masters if self._slots else ()
        asked = list(dict.fromkeys((*random.sample(known, len(known)), *self._target.addresses)))
        problem = ""
        for address in asked:
            try:
                async with asyncio.timeout(self._timeout_s):
                    (reply,) = await pipelined(self._client(address), [("CLUSTER", "SLOTS")])
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


def _heard(task: asyncio.Task[None]) -> None:
    """Who waits for it gets the error too; nobody need."""
    if not task.cancelled():
        task.exception()
