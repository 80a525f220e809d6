"""A gateway with a judge behind it and room for five devices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from openai import AsyncOpenAI

from tests.integration.collective.judge import Judge, judging
from tests.integration.devices.scene import digest
from tests.integration.member import Behaviour, Member, member, registration
from tests.servers import Server, start_gateway

NAMES = ("maths", "code", "lists", "reading", "general")


class Place:
    def __init__(self, gateway: Server, judge: Judge, client: AsyncOpenAI) -> None:
        self.gateway = gateway
        self.judge = judge
        self.client = client

    @asynccontextmanager
    async def members(self, **behaviours: Behaviour) -> AsyncIterator[dict[str, Member]]:
        """Devices by name, registered."""
        async with AsyncExitStack() as stack:
            found = {}
            for name, behaviour in behaviours.items():
                said = registration(description=f"good at {name}", tags=[name])
                found[name] = await stack.enter_async_context(
                    member(self.gateway.url, behaviour, f"token-of-{name}", said)
                )
            yield found


def start(folder: Path, judge: Judge, redis: str | None = None, **collective: object) -> Server:
    """With the URL of a Redis it shares its state."""
    shared = {"state": {"redis": {"url": redis}, "timeout_s": 2}} if redis else {}
    return start_gateway(
        {
            **shared,
            "pools": {"edge": {"tier": "edge", "endpoints": [judge.url], "probe": "models"}},
            "scrape": {"interval_s": 0.2},
            "devices": {
                "tokens": {name: digest(f"token-of-{name}") for name in NAMES},
                "max_answer_bytes": 1024 * 1024,
            },
            "collective": {"embedding": {"source": "words"}, **collective},
        },
        folder,
        ready=False,
    )


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield tmp_path_factory.mktemp("collective")


@pytest.fixture
async def place(folder: Path) -> AsyncIterator[Place]:
    async with judging() as judge:
        gateway = await asyncio.to_thread(start, folder, judge)
        try:
            url = gateway.url + "/v1"
            async with AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
                await ready(client)
                yield Place(gateway, judge, client)
        finally:
            await asyncio.to_thread(gateway.stop)


async def ready(client: AsyncOpenAI) -> None:
    """The pool has been looked at: the model has a place."""
    async with asyncio.timeout(20):
        while not any(card.id == "rill-edge" for card in (await client.models.list()).data):
            await asyncio.sleep(0.05)
