"""A gateway in front of an edge and a cloud engine, once per kind of engine.

The same tests run against the simulator and against real vLLM. vLLM needs the engine
environment's Python (TIERFLOW_ENGINE_PYTHON) and a family (the shipped one, or the folder that
TIERFLOW_TEST_FAMILY names, with rill-edge and rill-cloud in it).
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.integration.fleet import PATIENCE, Fleet, engine
from tests.servers import (
    SHIPPED_FAMILY,
    Server,
    eventually,
    start_gateway,
    start_simulator,
    start_vllm,
)

FAMILY = ["rill-device", "rill-edge", "rill-cloud"]
MAX_RUNNING = 4
"""Requests that each engine runs at once; small, so that a test can fill it."""


@dataclass(frozen=True)
class Deployment:
    kind: str
    edge: Server
    cloud: Server
    gateway: Server

    @property
    def engines(self) -> tuple[Server, Server]:
        return self.edge, self.cloud


def gateway_config(edge: list[Server], cloud: list[Server], **more: Any) -> dict[str, Any]:
    return {
        "family": FAMILY,
        "pools": {
            "edge": {"tier": "edge", "endpoints": [server.url for server in edge]},
            "cloud": {"tier": "cloud", "endpoints": [server.url for server in cloud]},
        },
        "scrape": {"interval_s": 0.2},
        **more,
    }


def simulators(folder: Path, stack: ExitStack) -> tuple[Server, Server]:
    flags = ("--decode-tokens-per-s", "400", "--max-num-seqs", str(MAX_RUNNING))
    servers = []
    for model in FAMILY[1:]:
        servers.append(start_simulator(model, folder, *flags, "--max-model-len", "1024"))
        stack.callback(servers[-1].stop)
    return servers[0], servers[1]


def vllm_servers(folder: Path, stack: ExitStack) -> tuple[Server, Server]:
    python = os.environ.get("TIERFLOW_ENGINE_PYTHON")
    if not python:
        pytest.skip("TIERFLOW_ENGINE_PYTHON is not set; `make test` sets it")
    family = Path(os.environ.get("TIERFLOW_TEST_FAMILY") or SHIPPED_FAMILY)
    missing = [name for name in FAMILY[1:] if not (family / name / "config.json").is_file()]
    if missing:
        pytest.skip(f"no {', '.join(missing)} in {family}; `make family` trains them")
    servers = []
    for cores, model in enumerate(FAMILY[1:]):
        flags = ("--max-num-seqs", str(MAX_RUNNING))
        core = str(cores % (os.cpu_count() or 1))
        servers.append(start_vllm(python, family / model, core, folder, *flags))
        stack.callback(servers[-1].stop)
    for server in servers:
        eventually(partial(server.answers, "/health"), f"{server.name} loads", 300, 0.2)
    return servers[0], servers[1]


@pytest.fixture(
    scope="session", params=["simulator", pytest.param("vllm", marks=pytest.mark.engine)]
)
def deployment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp(request.param)
    with ExitStack() as stack:
        begin = simulators if request.param == "simulator" else vllm_servers
        edge, cloud = begin(folder, stack)
        gateway = start_gateway(gateway_config([edge], [cloud]), folder)
        stack.callback(gateway.stop)
        eventually(
            lambda: all(p["ready"] for p in gateway_ready(gateway)["pools"].values()),
            "both pools are ready",
        )
        yield Deployment(request.param, edge, cloud, gateway)


def gateway_ready(gateway: Server) -> Any:
    return httpx.get(gateway.url + "/ready").json()


@pytest.fixture
def gateway(deployment: Deployment) -> Server:
    return deployment.gateway


@pytest.fixture
def http(gateway: Server) -> Iterator[httpx.Client]:
    """A plain client of the gateway."""
    with httpx.Client(base_url=gateway.url, timeout=60) as client:
        yield client


@pytest.fixture
def client(gateway: Server) -> Iterator[OpenAI]:
    with OpenAI(base_url=gateway.url + "/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture
async def async_client(gateway: Server) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=gateway.url + "/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture(scope="session")
def whole_fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    with ExitStack() as stack, httpx.Client(timeout=60, trust_env=False) as http:
        edge = [engine("rill-edge", folder) for _ in range(2)]
        cloud = engine("rill-cloud", folder)
        config = gateway_config(edge, [cloud], **PATIENCE)
        for pool in config["pools"].values():
            pool["saturation_queue"] = 2
        gateway = start_gateway(config, folder)
        fleet = Fleet(edge, cloud, gateway, http, folder)
        stack.callback(fleet.stop)
        yield fleet


@pytest.fixture
def fleet(whole_fleet: Fleet) -> Fleet:
    """Simulators to break; they are well again when the test begins."""
    whole_fleet.restore()
    return whole_fleet
