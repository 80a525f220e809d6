"""Clients of the gateway, and engines to break."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import httpx
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.deployment import Deployment, gateway_config
from tests.integration.fleet import PATIENCE, Fleet, engine
from tests.servers import Server, start_gateway


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
