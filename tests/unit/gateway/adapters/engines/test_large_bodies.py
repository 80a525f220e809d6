"""Bodies that are written in pieces, as the engine's socket sees them."""

from __future__ import annotations

import asyncio
import socket

import pytest

from gateway.adapters.engines.client import PIECE_BYTES, AiohttpModelServer
from gateway.core.tier import Tier
from gateway.core.types import Endpoint, Probe

pytestmark = pytest.mark.anyio
REFUSAL = b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"


class Engine:
    """An engine that reads at most `most` bytes of a body before it answers."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.head, self.body = b"", b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(self.head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        self.body = await reader.readexactly(min(length, self._most))
        writer.write(REFUSAL)
        await writer.drain()
        writer.close()


async def sent(body: bytes, most: int = 1 << 30) -> tuple[int, Engine]:
    """The status, and the engine that gave it."""
    engine = Engine(most)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        server = await asyncio.start_server(engine.serve, sock=listener)
        endpoint = Endpoint(
            id=address, url=f"http://{address}", pool="edge", tier=Tier.EDGE, probe=Probe.ENGINE
        )
        client = AiohttpModelServer(connect_timeout_s=2, api_keys={})
        try:
            headers = {"content-type": "application/json"}
            answer = await client.open(endpoint, "/v1/completions", headers, body)
            answer.close()
            return answer.status, engine
        finally:
            await client.close()
            server.close()


@pytest.mark.parametrize("size", [1, PIECE_BYTES, PIECE_BYTES + 1, 7 * PIECE_BYTES + 3])
async def test_an_engine_gets_the_same_bytes_and_their_length(size: int) -> None:
    body = bytes(i % 251 for i in range(size))
    status, engine = await sent(body)
    assert status == 413
    assert engine.body == body
    assert b"transfer-encoding" not in engine.head
    assert engine.head.count(b"content-type: application/json") == 1


async def test_an_engine_that_answers_before_it_has_read_all_is_heard() -> None:
    status, engine = await sent(b"x" * (64 * PIECE_BYTES), most=1000)
    assert status == 413
    assert len(engine.body) == 1000
