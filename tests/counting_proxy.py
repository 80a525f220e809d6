"""A TCP proxy that counts round trips: how often the direction turns to the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass
class Wire:
    port: int = 0
    connections: int = 0
    trips: int = 0


@asynccontextmanager
async def counting_proxy(port: int) -> AsyncIterator[Wire]:
    """In front of a server at `port` of the loopback."""
    wire, tasks = Wire(), set[asyncio.Task[None]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire.connections += 1
        behind, to_it = await asyncio.open_connection("127.0.0.1", port)
        asking = False

        async def pump(source: asyncio.StreamReader, to: asyncio.StreamWriter, up: bool) -> None:
            nonlocal asking
            while data := await source.read(1 << 16):
                wire.trips += up and not asking
                asking = up
                to.write(data)
                await to.drain()
            to.close()

        for each in (pump(reader, to_it, True), pump(behind, writer, False)):
            tasks.add(asyncio.create_task(each))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    wire.port = server.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
