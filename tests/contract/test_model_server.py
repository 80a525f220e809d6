"""What every `ModelServer` must do, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.adapters.engines import client
from gateway.adapters.engines.client import AiohttpModelServer
from gateway.core.ports import ModelServer
from gateway.core.tier import Tier
from gateway.core.types import Endpoint, Probe
from gateway.errors import ConnectFailed, EngineFailed, StaleConnection
from tests.contract.scripted_engine import OK, chunk, read_request, scripted_engine

pytestmark = pytest.mark.anyio

PATH = "/v1/chat/completions"


@pytest.fixture(params=["aiohttp"])
async def server() -> AsyncIterator[ModelServer]:
    built = AiohttpModelServer(connect_timeout_s=2.0, api_keys={"cloud": "key"})
    yield built
    await built.close()


async def everything(server: ModelServer, endpoint: Endpoint, body: bytes = b"{}") -> bytes:
    answer = await server.open(endpoint, PATH, {"content-type": "application/json"}, body)
    pieces = [await answer.read()]
    while pieces[-1]:
        pieces.append(await answer.read())
    answer.close()
    return b"".join(pieces)


async def test_request_and_answer_pass_unchanged(server: ModelServer) -> None:
    seen: list[tuple[bytes, bytes]] = []

    async def script(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, before: int
    ) -> None:
        seen.append(await read_request(reader))
        writer.write(OK + b"transfer-encoding: chunked\r\n\r\n")
        for piece in (b"data: \xff\x00\n\n", b"data: 2\n\n", b""):
            writer.write(chunk(piece))
            await writer.drain()

    async with scripted_engine(script) as endpoint:
        body = b'{"odd":  "spaces \xc3\xa9"}'
        assert await everything(server, endpoint, body) == b"data: \xff\x00\n\ndata: 2\n\n"
    head, sent = seen[0]
    assert sent == body
    assert head.startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
    assert b"authorization" not in head.lower()
    assert b"accept-encoding" not in head.lower()


async def test_pieces_are_given_as_they_come(server: ModelServer) -> None:
    go_on = asyncio.Event()

    async def script(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, before: int
    ) -> None:
        await read_request(reader)
        writer.write(OK + b"transfer-encoding: chunked\r\n\r\n" + chunk(b"first"))
        await go_on.wait()
        writer.write(chunk(b"second") + chunk(b""))

    async with scripted_engine(script) as endpoint:
        answer = await server.open(endpoint, PATH, {}, b"{}")
        assert await answer.read() == b"first"
        go_on.set()
        assert await answer.read() == b"second"
        assert await answer.read() == b""
        answer.close()


async def test_a_port_where_nobody_listens_is_a_failed_connect(server: ModelServer) -> None:
    nobody = Endpoint(
        id="127.0.0.1:1", url="http://127.0.0.1:1", pool="edge", tier=Tier.EDGE, probe=Probe.ENGINE
    )
    with pytest.raises(ConnectFailed) as caught:
        await server.open(nobody, PATH, {}, b"{}")
    assert caught.value.endpoint == "127.0.0.1:1"


async def test_a_connection_that_breaks_before_the_answer_is_the_engines_failure(
    server: ModelServer,
) -> None:
    async def script(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, before: int
    ) -> None:
        await read_request(reader)

    async with scripted_engine(script) as endpoint:
        with pytest.raises(EngineFailed):
            await server.open(endpoint, PATH, {}, b"{}")


async def test_a_connection_that_breaks_within_the_answer_is_the_engines_failure(
    server: ModelServer,
) -> None:
    async def script(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, before: int
    ) -> None:
        await read_request(reader)
        writer.write(OK + b"transfer-encoding: chunked\r\n\r\n" + chunk(b"data: 1\n\n"))
        await writer.drain()

    async with scripted_engine(script) as endpoint:
        answer = await server.open(endpoint, PATH, {}, b"{}")
        with pytest.raises(EngineFailed):
            while await answer.read():
                pass
        answer.close()


async def test_what_is_no_http_is_the_engines_failure(server: ModelServer) -> None:
    async def script(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, before: int
    ) -> None:
        await read_request(reader)
        writer.write(b"SSH-2.0-OpenSSH\r\n\r\n")
        await writer.drain()

    async with scripted_engine(script) as endpoint:
        with pytest.raises(EngineFailed):
            await server.open(endpoint, PATH, {}, b"{}")


async def test_closing_early_ends_the_connection_so_that_the_engine_notices(
    server: ModelServer,
) -> None:
    noticed = asyncio.Event()

    async def script(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, before: int
    ) -> None:
        await read_request(reader)
        writer.write(OK + b"transfer-encoding: chunked\r\n\r\n" + chunk(b"data: 1\n\n"))
        assert await reader.read() == b""
        noticed.set()

    async with scripted_engine(script) as endpoint:
        answer = await server.open(endpoint, PATH, {}, b"{}")
        await answer.read()
        answer.close()
        answer.close()
        async with asyncio.timeout(5.0):
            await noticed.wait()


async def test_a_drained_connection_is_used_again_once_its_answer_has_ended(
    server: ModelServer,
) -> None:
    over, connections = asyncio.Event(), []

    async def script(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, before: int
    ) -> None:
        connections.append(before)
        while (await read_request(reader))[0]:
            writer.write(OK + b"transfer-encoding: chunked\r\n\r\n" + chunk(b"data: 1\n\n"))
            await over.wait()
            writer.write(chunk(b""))

    async with scripted_engine(script) as endpoint:
        first = await server.open(endpoint, PATH, {}, b"{}")
        await first.read()
        first.drain()
        first.close()
        over.set()
        await asyncio.sleep(0.05)
        second = await server.open(endpoint, PATH, {}, b"{}")
        assert await second.read() == b"data: 1\n\n"
        second.close()
    assert connections == [0]


async def test_a_drained_connection_that_stays_open_is_closed(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    noticed = asyncio.Event()
    monkeypatch.setattr(client, "DRAIN_S", 0.05)

    async def script(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, before: int
    ) -> None:
        await read_request(reader)
        writer.write(OK + b"transfer-encoding: chunked\r\n\r\n" + chunk(b"data: 1\n\n"))
        assert await reader.read() == b""
        noticed.set()

    async with scripted_engine(script) as endpoint:
        answer = await server.open(endpoint, PATH, {}, b"{}")
        await answer.read()
        answer.drain()
        async with asyncio.timeout(5.0):
            await noticed.wait()


async def test_cancelling_before_the_answer_ends_the_connection_too(server: ModelServer) -> None:
    asked, noticed = asyncio.Event(), asyncio.Event()

    async def script(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, before: int
    ) -> None:
        await read_request(reader)
        asked.set()
        assert await reader.read() == b""
        noticed.set()

    async with scripted_engine(script) as endpoint:
        task = asyncio.ensure_future(server.open(endpoint, PATH, {}, b"{}"))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(5.0):
            await noticed.wait()


async def test_a_request_whose_kept_connection_had_ended_is_told_and_not_sent_again(
    server: ModelServer,
) -> None:
    """The engine answers once per connection, says it keeps it, and closes it on the next ask."""
    delivered: list[int] = []

    async def script(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, before: int
    ) -> None:
        delivered.append(before)
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        await writer.drain()
        await read_request(reader)

    async with scripted_engine(script) as endpoint:
        assert await everything(server, endpoint) == b"ok"
        with pytest.raises(StaleConnection):
            await everything(server, endpoint)
        # Others that are kept may have ended as well, so the next ones are made anew.
        assert await everything(server, endpoint) == b"ok"
        assert await everything(server, endpoint) == b"ok"
    assert delivered == [0, 1, 2]


async def test_what_a_new_connection_delivered_is_not_sent_again(server: ModelServer) -> None:
    delivered: list[bytes] = []

    async def script(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, before: int
    ) -> None:
        delivered.append((await read_request(reader))[0])

    async with scripted_engine(script) as endpoint:
        with pytest.raises(EngineFailed):
            await everything(server, endpoint)
    assert len(delivered) == 1


async def test_a_redirect_is_not_followed(server: ModelServer) -> None:
    async def script(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, before: int
    ) -> None:
        await read_request(reader)
        writer.write(
            b"HTTP/1.1 307 Elsewhere\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
        )
        await writer.drain()

    async with scripted_engine(script) as endpoint:
        answer = await server.open(endpoint, PATH, {}, b"{}")
        assert answer.status == 307
        answer.close()


async def test_a_pools_key_goes_to_that_pools_engines_only(server: ModelServer) -> None:
    heads: list[bytes] = []

    async def script(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, before: int
    ) -> None:
        heads.append((await read_request(reader))[0])
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()

    async with scripted_engine(script) as endpoint:
        await everything(
            server,
            Endpoint(
                id=endpoint.id, url=endpoint.url, pool="cloud", tier=Tier.CLOUD, probe=Probe.ENGINE
            ),
        )
    assert b"Authorization: Bearer key\r\n" in heads[0]
