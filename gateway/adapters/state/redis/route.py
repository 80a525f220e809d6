"""The way to the server that has a key."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.sentinel import SentinelConnectionPool

from gateway.adapters.state.redis.connection import Target, client_by_sentinels, client_to
from gateway.adapters.state.redis.functions import Library


@dataclass(frozen=True, slots=True)
class Command:
    """A command of Redis. `key` decides where it goes."""

    key: str
    words: Sequence[str | bytes]


class Route(Protocol):
    """The way of commands to the servers concerned. `send` is one round trip to each server
    concerned, all at once. It gives replies in order, errors that a server answered among them,
    and raises RedisError or OSError when one could not be reached. Nothing here is bounded in
    time: the caller does that."""

    async def send(self, commands: Sequence[Command]) -> list[Any]: ...

    async def load(self, library: Library) -> None: ...

    def listening(self) -> AbstractAsyncContextManager[AbstractConnection]:
        """A connection of one's own to a server that hears every channel."""
        ...

    def failed(self) -> None:
        """A call was lost: look anew where everything is."""
        ...

    async def close(self) -> None: ...


async def pipelined(client: Redis, commands: Sequence[Sequence[str | bytes]]) -> list[Any]:
    pipeline = client.pipeline(transaction=False)
    try:
        for words in commands:
            pipeline.execute_command(*words)
        return list(await pipeline.execute(raise_on_error=False))
    finally:
        await pipeline.reset()  # type: ignore[no-untyped-call]


async def load_into(client: Redis, library: Library) -> None:
    words = ("FUNCTION", "LOAD", "REPLACE", library.code)
    await client.execute_command(*words)  # type: ignore[no-untyped-call]


async def disconnect(client: Redis) -> None:
    """Everything that it holds, the connections to sentinels too."""
    await client.aclose()
    pool = client.connection_pool
    await pool.disconnect()
    if isinstance(pool, SentinelConnectionPool):
        for sentinel in pool.sentinel_manager.sentinels:
            await sentinel.aclose()


@asynccontextmanager
async def connection_of(client: Redis) -> Any:
    pool = client.connection_pool
    connection = await pool.get_connection()  # type: ignore[no-untyped-call]
    try:
        yield connection
    finally:
        # It has subscribed: nobody can use it for anything else.
        await connection.disconnect(nowait=True)
        await pool.release(connection)


class OneServer:
    """A server at a fixed address, or the master that sentinels name."""

    def __init__(self, target: Target, timeout_s: float) -> None:
        self._client = (
            client_by_sentinels(target, timeout_s)
            if target.master
            else client_to(target, target.addresses[0])
        )

    async def send(self, commands: Sequence[Command]) -> list[Any]:
        return await pipelined(self._client, [command.words for command in commands])

    async def load(self, library: Library) -> None:
        await load_into(self._client, library)

    def listening(self) -> AbstractAsyncContextManager[AbstractConnection]:
        connection: AbstractAsyncContextManager[AbstractConnection] = connection_of(self._client)
        return connection

    def failed(self) -> None:
        pass

    async def close(self) -> None:
        await disconnect(self._client)
