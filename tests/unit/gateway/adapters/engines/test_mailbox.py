"""The client of a drafts' mailbox against sockets that behave and misbehave."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from gateway.adapters.engines.mailbox import MAX_BUFFER, ROUND_TRIPS, Mailbox
from gateway.core.speculation.job import DraftFacts

pytestmark = pytest.mark.anyio

SECRET = b"a secret of tests"
SESSION = "0123456789abcdef"
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def framed(content: Any) -> bytes:
    message = msgspec.msgpack.encode(content)
    return len(message).to_bytes(4, "big") + message


async def admit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, **other: Any) -> None:
    nonce = bytes(32)
    writer.write(nonce)
    answer = await reader.readexactly(32)
    if not hmac.compare_digest(answer, hmac.digest(SECRET, nonce, hashlib.sha256)):
        writer.close()
        return
    writer.write(framed({"version": 1, "vocabulary": 100, "per_step": 4} | other))


async def read(reader: asyncio.StreamReader) -> Any:
    size = int.from_bytes(await reader.readexactly(4), "big")
    return msgspec.msgpack.decode(await reader.readexactly(size))


@asynccontextmanager
async def mailbox(
    serve: Serve, secret: bytes = SECRET, now: Callable[[], float] = time.monotonic
) -> AsyncIterator[Mailbox]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (ConnectionError, EOFError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    box = Mailbox(
        endpoint_id="edge:1",
        address=f"127.0.0.1:{port}",
        secret=secret,
        uniform=lambda: 0.0,
        counts_every_s=0.05,
        now=now,
    )
    box.start()
    try:
        yield box
    finally:
        await box.stop()
        server.close()


async def until(look: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not look():
            await asyncio.sleep(0.005)


async def test_drafts_arrive_as_they_were_left_and_counts_come_back() -> None:
    left: list[Any] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await admit(reader, writer)
        while True:
            message = await read(reader)
            if message:
                left.append(message)
            else:
                writer.write(framed({"received": len(left)}))

    async with mailbox(serve) as box:
        assert not box.put(SESSION, [(0, [1], [])])
        await until(lambda: box.connected)
        assert replace(box.facts, round_trip_s=0.0) == DraftFacts(4, 100)
        assert box.put(SESSION, [(3, [1, 2], [9])])
        await until(lambda: box.counts == {"received": 1})
        assert left == [[SESSION, 3, [1, 2], [9]]]
        assert not box.problem


async def test_the_round_trip_is_the_shortest_of_the_last_few() -> None:
    """An engine answers once a step: what is longer than the shortest is not the link's."""
    trips = iter([9.0, 5.0, 3.0, *[5.0] * ROUND_TRIPS])
    moment, asked = 0.0, False

    def now() -> float:
        nonlocal moment, asked
        asked = not asked
        if not asked:
            moment += next(trips)
        return moment

    answers = 0
    known: list[float] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal answers
        await admit(reader, writer)
        while await read(reader) == [] and answers < ROUND_TRIPS + 2:
            known.append(box.facts.round_trip_s)
            answers += 1
            writer.write(framed({"answers": answers}))
        await reader.read()

    async with mailbox(serve, now=now) as box:
        await until(lambda: box.counts.get("answers") == ROUND_TRIPS + 2)
        assert known == [9.0, 5.0, *[3.0] * ROUND_TRIPS]
        assert box.facts.round_trip_s == 5.0


@pytest.mark.parametrize(
    ("serve", "problem"),
    [
        (lambda r, w: admit(r, w, version=2), "speaks version 2"),
        (lambda r, w: admit(r, w, vocabulary="many"), "ValidationError"),
        (lambda r, w: asyncio.sleep(0), "hung up"),
    ],
)
async def test_another_kind_of_server_is_named_as_the_problem(serve: Serve, problem: str) -> None:
    async with mailbox(serve) as box:
        await until(lambda: problem in box.problem)
        assert not box.connected
        assert not box.put(SESSION, [(0, [1], [])])


async def test_a_wrong_secret_is_named_as_the_problem() -> None:
    async with mailbox(admit, secret=b"another secret of tests") as box:
        await until(lambda: "secret" in box.problem)
        assert not box.connected


async def test_a_connection_that_ends_is_made_again() -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await admit(reader, writer)
        if connections > 1:
            while await read(reader) == []:
                writer.write(framed({}))

    async with mailbox(serve) as box:
        await until(lambda: connections > 1 and box.connected)
        assert box.problem == ""


async def test_an_engine_that_tells_no_counts_is_given_up() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await admit(reader, writer)
        await reader.read()

    async with mailbox(serve) as box:
        await until(lambda: box.problem == "no answer in time")
        assert box.counts == {}


async def test_an_engine_that_was_silent_for_a_while_takes_drafts_again() -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await admit(reader, writer)
        if connections == 1:
            await reader.read()
        while await read(reader) == []:
            writer.write(framed({"accepted": connections}))

    async with mailbox(serve) as box:
        await until(lambda: connections > 1 and box.counts.get("accepted"))
        assert (box.connected, box.problem, connections) == (True, "", 2)


async def test_a_mailbox_that_does_not_read_refuses_drafts_and_holds_nobody_up() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await admit(reader, writer)
        await asyncio.Event().wait()

    draft = list(range(64))
    async with mailbox(serve) as box:
        await until(lambda: box.connected)
        taken = 0
        # What the system's own buffers hold comes on top of ours.
        while box.connected and box.put(SESSION, [(0, draft, [])]):
            taken += 1
            assert taken < 1_000_000
        assert taken * 64 > MAX_BUFFER / 2
