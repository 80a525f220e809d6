"""An engine that misbehaves on the wire exactly as a test says: raw bytes over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from gateway.core.tier import Tier
from gateway.core.types import Endpoint, Probe

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[None]]
"""(reader, writer, how many connections came before) -> handles one connection."""

OK = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"


async def read_request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """The head and the body of one request; (b"", b"") when the caller has left."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b"", b""
    length = next(
        (
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        ),
        0,
    )
    return head, await reader.readexactly(length)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


@asynccontextmanager
async def scripted_engine(script: Script) -> AsyncIterator[Endpoint]:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        try:
            await script(reader, writer, connections - 1)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield Endpoint(
            id=f"127.0.0.1:{port}",
            url=f"http://127.0.0.1:{port}",
            pool="edge",
            tier=Tier.EDGE,
            probe=Probe.ENGINE,
        )
    finally:
        server.close()
