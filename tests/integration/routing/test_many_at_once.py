"""Many streams at a time, each with its own text."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from tests.integration.fleet import question
from tests.servers import Server, start_gateway, start_simulator

STREAMS = 200
CREATED = re.compile(rb'"created":\d+')
pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def roomy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    """(gateway, its engine), with room for all streams at once."""
    folder = tmp_path_factory.mktemp("roomy")
    with ExitStack() as stack:
        flags = ("--max-num-seqs", str(STREAMS), "--decode-tokens-per-s", "100")
        engine = start_simulator("rill-edge", folder, *flags, "--batch-slowdown", "0")
        stack.callback(engine.stop)
        pools = {"edge": {"tier": "edge", "endpoints": [engine.url]}}
        gateway = start_gateway({"pools": pools}, folder)
        stack.callback(gateway.stop)
        yield gateway, engine


async def texts(client: httpx.AsyncClient, url: str) -> list[bytes]:
    async def one(number: int) -> bytes:
        body = question("rill-edge", f"{number} question", stream=True, max_tokens=20)
        headers = {"x-request-id": f"same-{number}"}
        answer = await client.post(url + "/v1/chat/completions", json=body, headers=headers)
        return b"".join(line for line in answer.content.splitlines() if b'"delta"' in line)

    return await asyncio.gather(*map(one, range(STREAMS)))


@pytest.mark.anyio
async def test_streams_do_not_mix(roomy: tuple[Server, Server]) -> None:
    gateway, engine = roomy
    limits = httpx.Limits(max_connections=STREAMS)
    async with httpx.AsyncClient(timeout=60, limits=limits, trust_env=False) as client:
        through = await texts(client, gateway.url)
        direct = await texts(client, engine.url)
    deltas = [[CREATED.sub(b"", text) for text in side] for side in (through, direct)]
    assert deltas[0] == deltas[1]
    assert len(set(deltas[0])) == STREAMS
