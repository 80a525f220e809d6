"""A gateway, or two on one Redis, with a judge behind and room for five devices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI

from tests.integration.collective.judge import Judge, running_judge
from tests.integration.devices.device_gateway import digest
from tests.integration.gateway_replicas import ONE_OR_TWO, Replicas, replicas
from tests.integration.member import Behaviour, Member, member, registration
from tests.servers import Server

NAMES = ("maths", "code", "lists", "reading", "general")
ADMIN = "token-of-the-operator"


class Place:
    """Requests of `client` and `http` are spread over the gateways, and so are the devices."""

    def __init__(self, gateways: Replicas, judge: Judge, client: AsyncOpenAI) -> None:
        self.gateways = gateways
        self.judge = judge
        self.client = client

    @property
    def gateway(self) -> Server:
        """The only one."""
        (gateway,) = self.gateways.each
        return gateway

    @asynccontextmanager
    async def members(self, **behaviours: Behaviour) -> AsyncIterator[dict[str, Member]]:
        """Devices by name, registered, and known to each gateway."""
        async with AsyncExitStack() as stack:
            found: dict[str, Member] = {}
            for name, behaviour in behaviours.items():
                profile = registration(description=f"good at {name}", tags=[name])
                url = self.gateways.each[len(found) % len(self.gateways.each)].url
                found[name] = await stack.enter_async_context(
                    member(url, behaviour, f"token-of-{name}", profile)
                )
            for gateway in self.gateways.each:
                await listed(gateway, lambda seen: seen.keys() >= behaviours.keys())
            yield found

    async def metric(self, name: str, **labels: str) -> float:
        return await asyncio.to_thread(self.gateways.metric, name, **labels)


async def listed(gateway: Server, expected: Callable[[dict[str, str]], bool]) -> None:
    """Wait until the gateway's list of registered devices, each with its replica, is so."""
    headers = {"authorization": f"Bearer {ADMIN}"}
    async with (
        asyncio.timeout(30),
        httpx.AsyncClient(base_url=gateway.url, headers=headers) as http,
    ):
        while True:
            cards = (await http.get("/v1/devices")).raise_for_status().json()["data"]
            if expected({c["id"]: c["registration"]["replica"] for c in cards if c["registered"]}):
                return
            await asyncio.sleep(0.02)


def config(judge: Judge, **collective: object) -> dict[str, Any]:
    return {
        "pools": {"edge": {"tier": "edge", "endpoints": [judge.url], "probe": "models"}},
        "scrape": {"interval_s": 0.2},
        "admin": {"token": ADMIN},
        "devices": {
            "tokens": {name: digest(f"token-of-{name}") for name in NAMES},
            "max_answer_bytes": 1024 * 1024,
        },
        "collective": {"embedding": {"source": "words"}, **collective},
    }


@asynccontextmanager
async def gateways_with_a_judge(
    folder: Path, count: int, **collective: object
) -> AsyncIterator[tuple[Replicas, Judge]]:
    async with running_judge() as judge:
        # Beside the loop: the judge answers in it.
        starting = replicas(folder, *[config(judge, **collective)] * count, ready=False)
        gateways = await asyncio.to_thread(starting.__enter__)
        try:
            yield gateways, judge
        finally:
            await asyncio.to_thread(starting.__exit__, None, None, None)


@pytest.fixture(scope="module", params=ONE_OR_TWO)
async def whole_place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Place]:
    folder = tmp_path_factory.mktemp("collective")
    async with gateways_with_a_judge(folder, request.param) as (gateways, judge):
        for gateway in gateways.each:
            await ready(gateway)
        http, url = gateways.async_openai_client(), gateways.v1
        async with AsyncOpenAI(
            base_url=url, api_key="none", max_retries=0, http_client=http
        ) as client:
            yield Place(gateways, judge, client)


@pytest.fixture
async def place(whole_place: Place) -> Place:
    """With a judge that has heard nothing, and no devices."""
    judge = whole_place.judge
    judge.answer_to = lambda prompt: "Answer: 42"
    judge.gate.set()
    for gateway in whole_place.gateways.each:
        await listed(gateway, lambda seen: not seen)
    judge.prompts.clear()
    return whole_place


async def ready(gateway: Server) -> None:
    """The pool has been looked at: the model has a place."""
    async with asyncio.timeout(20), httpx.AsyncClient(base_url=gateway.url) as http:
        while "rill-edge" not in (await http.get("/v1/models")).text:
            await asyncio.sleep(0.02)
