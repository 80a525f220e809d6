"""Heads of engines' answers that are not as they should be."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.adapters.engines.client import MAX_HEADER_BYTES, AiohttpModelServer
from gateway.core.tier import Tier
from gateway.core.types import Endpoint, Probe
from gateway.errors import EngineFailed

pytestmark = pytest.mark.anyio
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
LENGTH = b"content-length: 2\r\n"


@asynccontextmanager
async def engine(answer: bytes) -> AsyncIterator[Endpoint]:
    """It gives this answer to each request."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        server = await asyncio.start_server(serve, sock=listener)
        try:
            yield Endpoint(
                id=address, url=f"http://{address}", pool="edge", tier=Tier.EDGE, probe=Probe.ENGINE
            )
        finally:
            server.close()


async def ask(answer: bytes) -> int:
    """The status that comes of it."""
    client = AiohttpModelServer(connect_timeout_s=2, api_keys={})
    try:
        async with engine(answer) as endpoint:
            opened = await client.open(endpoint, "/v1/completions", {}, b"{}")
            opened.close()
            return opened.status
    finally:
        await client.close()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (OK + b"x-long: " + b"x" * 9000 + b"\r\n" + LENGTH + b"\r\n{}", "more than 8190 bytes"),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "not HTTP"),
        (OK + b"content-encoding: gzip\r\n" + LENGTH + b"\r\n{}", "a compressed answer"),
    ],
)
async def test_an_answer_that_cannot_be_relayed_says_why(answer: bytes, says: str) -> None:
    with pytest.raises(EngineFailed, match=says) as caught:
        await ask(answer)
    assert caught.value.code == "unreadable_answer"


async def test_a_long_header_below_the_limit_is_no_fault() -> None:
    long = b"x-long: " + b"x" * (MAX_HEADER_BYTES - 200) + b"\r\n"
    assert await ask(OK + long + b"content-encoding: identity\r\n" + LENGTH + b"\r\n{}") == 200
