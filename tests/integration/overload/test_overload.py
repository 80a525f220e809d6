"""More than the gateway can take: everybody is told at once, and memory stays bounded."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.integration.fleet import question
from tests.integration.overload.flooding_engine import flooding_engine
from tests.servers import Server, eventually, metric_in, start_gateway, start_simulator

pytestmark = pytest.mark.integration

AT_ONCE = 400
INSIDE, QUEUE = 40, 60
MIB = 1024 * 1024
KEYS: dict[str, dict[str, Any]] = {"greedy": {}, "lonely": {"in_flight": 1}, "other": {}}


def secret(name: str) -> str:
    return f"tf-{name}-0123456789abcdef0123456789abcdef"


def shown(name: str) -> str:
    return f"authorization: Bearer {secret(name)}\r\n"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """It has room for few, and its engine takes a second for each."""
    folder = tmp_path_factory.mktemp("overload")
    with ExitStack() as stack:
        flags = ("--decode-tokens-per-s", "50", "--batch-slowdown", "0", "--max-num-seqs", "256")
        engine = start_simulator("rill-edge", folder, *flags)
        stack.callback(engine.stop)
        limits = {
            "max_in_flight": INSIDE,
            "max_queue": QUEUE,
            "max_wait_s": 30,
            "max_body_bytes": MIB,
            "max_bodies_bytes": 2 * MIB,
        }
        pools = {"edge": {"tier": "edge", "endpoints": [engine.url]}}
        static = {
            name: {"key": hashlib.sha256(secret(name).encode()).hexdigest(), **more}
            for name, more in KEYS.items()
        }
        keys = {"required": False, "static": static}
        server = start_gateway({"pools": pools, "limits": limits, "keys": keys}, folder)
        stack.callback(server.stop)
        yield server


async def status_of(gateway: Server, body: bytes, headers: str = "") -> tuple[int, str]:
    """The status, and the head."""
    host, _, port = gateway.id.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n"
        f"content-length: {len(body)}\r\n{headers}\r\n".encode()
        + body
    )
    await writer.drain()
    answer = (await reader.read()).decode()
    writer.close()
    head = answer.partition("\r\n\r\n")[0].lower()
    return int(head.split()[1]), head


@pytest.mark.anyio
async def test_of_many_at_once_each_is_answered_or_told_when_to_come_again(
    gateway: Server,
) -> None:
    body = json.dumps(question("rill-edge", max_tokens=25)).encode()
    answers = await asyncio.gather(*(status_of(gateway, body) for _ in range(AT_ONCE)))
    statuses = Counter(status for status, _ in answers)
    assert statuses.keys() == {200, 429}
    assert statuses[200] >= INSIDE + QUEUE
    assert all("retry-after: " in head for status, head in answers if status == 429)
    page = httpx.get(gateway.url + "/metrics").text
    assert metric_in(page, "tierflow_shed_requests_total", reason="queue_full") == statuses[429]
    assert metric_in(page, "tierflow_in_flight_requests") == 0


@pytest.mark.anyio
async def test_a_flood_of_one_session_does_not_hold_up_another(gateway: Server) -> None:
    body = json.dumps(question("rill-edge", max_tokens=25)).encode()
    flood = asyncio.gather(
        *(status_of(gateway, body, "x-tierflow-session: flood\r\n") for _ in range(AT_ONCE // 2))
    )
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        while metric_in((await client.get("/metrics")).text, "tierflow_queued_requests") < QUEUE:
            await asyncio.sleep(0.01)
    status, _ = await status_of(gateway, body, "x-tierflow-session: other\r\n")
    assert status == 200
    assert not flood.done(), "it had its turn before those who had come first"
    await flood


@pytest.mark.anyio
async def test_bodies_without_room_are_refused_and_the_room_comes_back(gateway: Server) -> None:
    text = "x" * (MIB // 2)
    body = json.dumps(question("rill-edge", text, max_tokens=1)).encode()
    answers = await asyncio.gather(*(status_of(gateway, body) for _ in range(20)))
    statuses = Counter(status for status, _ in answers)
    assert statuses[429] > 0
    assert gateway.metric("tierflow_shed_requests_total", reason="bodies") == statuses[429]
    small = json.dumps(question("rill-edge", max_tokens=1)).encode()
    assert (await status_of(gateway, small))[0] == 200


def unfinished(gateway: Server, name: str) -> socket.socket:
    """Nearly all of the largest body, of which nothing more comes."""
    host, _, port = gateway.id.partition(":")
    peer = socket.create_connection((host, int(port)))
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\ncontent-length: {MIB}\r\n"
    peer.sendall(f"{head}{shown(name)}\r\n".encode() + b" " * (MIB - 1000))
    return peer


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["greedy", "lonely"])
async def test_bodies_that_one_key_never_ends_shut_out_no_other(gateway: Server, name: str) -> None:
    small = json.dumps(question("rill-edge", max_tokens=1)).encode()
    large = json.dumps(question("rill-edge", max_tokens=1, user="x" * (MIB // 2))).encode()
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(unfinished(gateway, name))
        for body in (small, large, small):
            status, _ = await status_of(gateway, body, shown("other"))
            assert status == 200


def test_slow_readers_fill_no_memory(tmp_path: Path) -> None:
    with ExitStack() as stack:
        engine = stack.enter_context(flooding_engine())
        pool: dict[str, Any] = {
            "tier": "edge",
            "endpoints": [engine.url],
            "probe": "answers",
            "models": ["flood"],
        }
        gateway = start_gateway({"pools": {"edge": pool}}, tmp_path)
        stack.callback(gateway.kill)
        process = psutil.Process(gateway.process.pid)
        before = process.memory_info().rss
        body = json.dumps(question("flood", stream=True)).encode()
        host, _, port = gateway.id.partition(":")
        head = (
            "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        for _ in range(8):
            reader = stack.enter_context(socket.create_connection((host, int(port))))
            reader.sendall(head.encode() + body)
        seen = [-1]

        def stands_still() -> bool:
            seen.append(engine.sent)
            return seen[-1] == seen[-2] > 0

        eventually(stands_still, "the engine sends no more", pause=0.2)
        assert process.memory_info().rss - before < 24 * MIB
