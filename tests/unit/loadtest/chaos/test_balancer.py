"""Connections go to ready replicas in turn, and past those that refuse them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest

from loadtest.chaos.balancer import ClientEnd, Replicas
from loadtest.measure.processes import HOST, free_port

pytestmark = pytest.mark.anyio


class ReplicaEnd(asyncio.Protocol):
    """A server's end: it answers `who` with its name, and a request for /ready with its state."""

    def __init__(self, name: bytes, ready: bool, lost: list[asyncio.Event]) -> None:
        self._answers = {b"w": name, b"G": b"HTTP/1.1 200 OK" if ready else b"HTTP/1.1 503 No"}
        self._ended = asyncio.Event()
        lost.append(self._ended)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._transport.write(self._answers[data[:1]] + b"\n")
        if data.startswith(b"G"):
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended.set()


@asynccontextmanager
async def replica(name: bytes, ready: bool = True) -> AsyncIterator[int]:
    """At its end all its connections have ended too."""
    loop, ends = asyncio.get_running_loop(), list[asyncio.Event]()
    server = await loop.create_server(lambda: ReplicaEnd(name, ready, ends), HOST, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        for end in ends:
            await asyncio.wait_for(end.wait(), 5)


@asynccontextmanager
async def balanced(replicas: Replicas) -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    async with await loop.create_server(lambda: ClientEnd(replicas), HOST, 0) as server:
        yield server.sockets[0].getsockname()[1]


async def who_answers(port: int) -> bytes:
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(b"who\n")
    answer = await asyncio.wait_for(reader.readline(), 5)
    writer.close()
    await writer.wait_closed()
    return answer


async def looked_at(replicas: Replicas) -> None:
    task = asyncio.create_task(replicas.watch())
    await asyncio.sleep(0.1)
    task.cancel()


async def test_connections_take_turns() -> None:
    async with replica(b"a") as a, replica(b"b") as b, balanced(Replicas([a, b])) as port:
        answers = [await who_answers(port) for _ in range(4)]
    assert answers == [b"a\n", b"b\n"] * 2


async def test_a_replica_that_refuses_is_passed_over() -> None:
    async with replica(b"a") as a, balanced(Replicas([free_port(), a])) as port:
        assert {await who_answers(port) for _ in range(3)} == {b"a\n"}


async def test_one_that_is_not_ready_gets_none() -> None:
    async with replica(b"a", ready=False) as a, replica(b"b") as b:
        replicas = Replicas([a, b])
        await looked_at(replicas)
        async with balanced(replicas) as port:
            assert {await who_answers(port) for _ in range(3)} == {b"b\n"}


async def test_without_any_that_is_ready_all_are_tried() -> None:
    async with replica(b"a", ready=False) as a:
        replicas = Replicas([a])
        await looked_at(replicas)
        async with balanced(replicas) as port:
            assert await who_answers(port) == b"a\n"


async def test_the_end_of_a_replica_ends_its_connections() -> None:
    async def close_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"half")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(close_at_once, HOST, 0) as server:
        replicas = Replicas([server.sockets[0].getsockname()[1]])
        async with balanced(replicas) as port:
            reader, writer = await asyncio.open_connection(HOST, port)
            assert await asyncio.wait_for(reader.read(), 5) == b"half"
            writer.close()
            await writer.wait_closed()
