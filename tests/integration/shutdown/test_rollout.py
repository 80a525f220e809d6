"""Two replicas are replaced one after the other, under load, and no caller notices."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.fleet import events, question
from tests.integration.gateway_replicas import replicas
from tests.integration.shutdown.conftest import TOKENS_PER_S
from tests.redis_server import needs_redis
from tests.servers import Server, free_port, start_gateway

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

STREAMS_AT_A_TIME = 8
LOOK_S = 0.05
NOTICE_S = 0.5
"""Longer than the balancer needs to see that a gateway is not ready."""
TOKENS = TOKENS_PER_S // 2


@dataclass
class Balancer:
    """A balancer of connections, as a Service is: each goes to the next gateway that was ready when
    it last looked. It does not read what it passes on, and never tries again."""

    gateways: list[Server]
    port: int = field(default_factory=free_port)
    ready: list[Server] = field(default_factory=list)
    _turn: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        await self._look()
        server = await asyncio.start_server(self._pass_on, "127.0.0.1", self.port)
        looking = asyncio.create_task(self._look_again())
        try:
            yield
        finally:
            looking.cancel()
            server.close()

    async def _look_again(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            await self._look()

    async def _look(self) -> None:
        async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
            ready = []
            for gateway in self.gateways:
                try:
                    answer = await client.get(gateway.url + "/ready")
                except httpx.TransportError:
                    continue
                if answer.status_code == 200:
                    ready.append(gateway)
        self.ready = ready

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._turn += 1
        gateway = self.ready[self._turn % len(self.ready)]
        host, _, port = gateway.id.partition(":")
        to_reader, to_writer = await asyncio.open_connection(host, int(port))
        await asyncio.gather(copy(reader, to_writer), copy(to_reader, writer))


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def test_a_rollout_under_load_loses_no_answer(pools: dict[str, Any], tmp_path: Path) -> None:
    config = {"pools": pools, "lifecycle": {"notice_s": NOTICE_S, "drain_s": 60}}
    started = await asyncio.gather(
        *(asyncio.to_thread(start_gateway, config, tmp_path) for _ in range(4))
    )
    old, new = started[:2], started[2:]
    balancer = Balancer(old[:])
    stop = asyncio.Event()
    answers: list[tuple[int, list[Any]]] = []

    async def keep_asking(client: httpx.AsyncClient, number: int) -> None:
        # Some connections are kept, as clients do, others are new for each request.
        headers = {"connection": "close"} if number % 2 else {}
        body = question("rill-edge", f"{number}?", stream=True, max_tokens=TOKENS)
        while not stop.is_set():
            answer = await client.post("/v1/chat/completions", json=body, headers=headers)
            assert answer.status_code == 200, answer.text
            answers.append((number, events(answer.content)))

    try:
        async with (
            balancer.running(),
            httpx.AsyncClient(base_url=balancer.url, timeout=30, trust_env=False) as client,
            asyncio.TaskGroup() as group,
        ):
            for number in range(STREAMS_AT_A_TIME):
                group.create_task(keep_asking(client, number))
            for before, after in zip(old, new, strict=True):
                balancer.gateways.append(after)
                before.process.send_signal(signal.SIGTERM)
                assert await asyncio.to_thread(before.process.wait, 30) == -signal.SIGTERM
                balancer.gateways.remove(before)
            stop.set()
    finally:
        for gateway in started:
            gateway.kill()
    assert len(answers) >= 2 * STREAMS_AT_A_TIME
    texts: dict[int, set[str]] = {}
    for number, (*chunks, done) in answers:
        assert done == "[DONE]"
        choices = [choice for chunk in chunks for choice in chunk["choices"]]
        assert choices[-1]["finish_reason"] == "length"
        text = "".join(choice["delta"].get("content") or "" for choice in choices)
        texts.setdefault(number, set()).add(text)
    assert all(len(same) == 1 for same in texts.values()), "one question has one answer"


@pytest.mark.redis
@needs_redis
async def test_a_caller_that_is_away_while_its_gateway_is_replaced_comes_back_to_the_rest(
    pools: dict[str, Any], tmp_path: Path
) -> None:
    body = question("rill-edge", "away?", stream=True, max_tokens=TOKENS)
    config = {"pools": pools, "lifecycle": {"notice_s": 0}}
    with replicas(tmp_path, config, config) as both:
        old, other = both.each
        async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
            whole = await client.post(other.url + "/v1/chat/completions", json=body)
            headers = {"x-tierflow-resumable": "30"}
            url, heard = old.url + "/v1/chat/completions", b""
            async with client.stream("POST", url, json=body, headers=headers) as answer:
                stream = answer.headers["x-tierflow-stream"]
                async for piece in answer.aiter_raw():
                    heard += piece
                    if heard.count(b"\n\n") > 2:
                        break
            old.process.send_signal(signal.SIGTERM)
            heard = heard[: heard.rfind(b"\n\n") + 2]
            last = heard.rpartition(b"id: ")[2].partition(b"\n")[0].decode()
            back = await client.get(
                f"{other.url}/v1/streams/{stream}", headers={"last-event-id": last}
            )
        assert texts(heard + back.content) == texts(whole.content)
        assert await asyncio.to_thread(old.process.wait, 30) == -signal.SIGTERM


def texts(stream: bytes) -> list[str]:
    """Of a chat's events, with ids or without; the roles aside."""
    lines = [line[6:] for line in stream.split(b"\n") if line.startswith(b"data: {")]
    return [json.loads(line)["choices"][0]["delta"].get("content", "") for line in lines]
