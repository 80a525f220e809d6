"""Bytes to a server as no client library sends them, and what comes back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from tests.servers import Server

PATIENCE_S = 20.0


@dataclass(frozen=True)
class RawAnswer:
    """`status` is 0 where the connection ended without an answer."""

    status: int
    head: str
    body: bytes


async def connect(server: Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = server.id.partition(":")
    return await asyncio.open_connection(host, int(port))


async def send(server: Server, *pieces: bytes) -> RawAnswer:
    """Send the pieces and read until the server closes the connection."""
    reader, writer = await connect(server)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
    except OSError:
        pass
    answer = await rest(reader)
    writer.close()
    return answer


async def rest(reader: asyncio.StreamReader) -> RawAnswer:
    """What comes until the server closes the connection. Raises TimeoutError."""
    data = b""
    async with asyncio.timeout(PATIENCE_S):
        try:
            while piece := await reader.read(1 << 16):
                data += piece
        except OSError:
            pass
    head, _, body = data.partition(b"\r\n\r\n")
    status = int(head.split()[1]) if head else 0
    return RawAnswer(status, head.decode("latin-1").lower(), body)
