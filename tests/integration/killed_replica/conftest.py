"""Two gateways on one Redis, with devices spread over both."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI

from tests.integration.cascade.conftest import PREDICTOR, pools
from tests.integration.collective.conftest import ADMIN, listed
from tests.integration.devices.device_gateway import digest
from tests.integration.gateway_replicas import Replicas, replicas
from tests.integration.killed_replica.engines_and_devices import (
    DOUBT,
    NUMBERS,
    HeldEngine,
    Replies,
    RoamingDevice,
    question,
    right,
    wrong,
)
from tests.servers import Server, eventually

DEVICES = ("maths", "code", "lists", "reading")


@dataclass
class ReplicaPair:
    """Everybody who answers waits until `let_go`."""

    small: HeldEngine
    large: HeldEngine
    both: Replicas
    client: AsyncOpenAI
    devices: list[RoamingDevice]
    gate: asyncio.Event

    @property
    def one(self) -> Server:
        return self.both.each[0]

    @property
    def other(self) -> Server:
        return self.both.each[1]

    def let_go(self) -> None:
        self.gate.set()
        self.small.gate.set()


def _config(small: HeldEngine, large: HeldEngine, folder: Path) -> dict[str, Any]:
    predictor = folder / "predictor.json"
    predictor.write_text(json.dumps(PREDICTOR))
    return {
        "pools": pools(small, large),
        "scrape": {"interval_s": 0.2},
        "timeouts": {"first_token_s": 60.0, "idle_s": 60.0, "answer_s": 60.0},
        "admin": {"token": ADMIN},
        "devices": {"tokens": {name: digest(f"token-of-{name}") for name in DEVICES}},
        "cascade": {"predictor": str(predictor)},
        "collective": {"embedding": {"source": "words"}, "lease_s": 1.0},
    }


@pytest.fixture
def engines() -> Iterator[tuple[HeldEngine, HeldEngine]]:
    """(small, large)"""
    with ExitStack() as stack:
        small, large = HeldEngine("rill-edge"), HeldEngine("rill-cloud")
        for engine, say in ((small, wrong), (large, right)):
            engine.replies = Replies({question(number): say(number) for number in NUMBERS})
            engine.start()
            stack.callback(engine.stop)
        small.doubts = {DOUBT}
        small.gate.clear()
        yield small, large


@pytest.fixture
def both(engines: tuple[HeldEngine, HeldEngine], tmp_path: Path) -> Iterator[Replicas]:
    config = _config(*engines, tmp_path)
    with replicas(tmp_path, config, config) as found:
        eventually(lambda: all(map(_ready, found.each)), "both pools are ready at both")
        yield found


def _ready(gateway: Server) -> bool:
    cards = httpx.get(gateway.url + "/v1/models").json()["data"]
    return {"rill-edge", "rill-cloud"} <= {card["id"] for card in cards}


@pytest.fixture
async def pair(
    engines: tuple[HeldEngine, HeldEngine], both: Replicas
) -> AsyncIterator[ReplicaPair]:
    gate = asyncio.Event()
    orders = [[*both.each[n % 2 :], *both.each[: n % 2]] for n in range(len(DEVICES))]
    devices = [
        RoamingDevice(name, order, gate) for name, order in zip(DEVICES, orders, strict=True)
    ]
    async with (
        _living(devices),
        AsyncOpenAI(
            base_url=both.v1, api_key="none", max_retries=8, http_client=both.async_openai_client()
        ) as client,
    ):
        for gateway in both.each:
            await listed(gateway, lambda seen: seen.keys() == set(DEVICES))
        yield ReplicaPair(*engines, both, client, devices, gate)


@asynccontextmanager
async def _living(devices: Sequence[RoamingDevice]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(device.live()) for device in devices]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
