"""From the API server's change to what routing chooses from, within the time that is promised."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.adapters.endpoints.kubernetes import DiscoveredEndpoints, PoolPolicy
from gateway.adapters.endpoints.live import LiveEndpoints
from gateway.adapters.endpoints.scraper import Scraper
from gateway.adapters.engines.client import AiohttpModelServer
from gateway.adapters.engines.fingerprint import TokenizerCheck
from gateway.core.types import Probe
from k8s.discovery.discovery import Discovery, DiscoveryScope
from k8s.discovery.endpoints import Snapshot
from loadtest.kubernetes_api import (
    ApiServer,
    Object,
    endpoint_slice,
    pod,
    running_api_server,
    shortest_pause_s,
)
from tests.contract.discovery.test_discovery import SELECTOR, Heard
from tests.unit.gateway.build import LIMITS
from tests.unit.gateway.fakes import SteppingClock

pytestmark = pytest.mark.anyio

LEAVING_S = 1.0
"""A pod that turns unready is out of the routing snapshot sooner than that."""
STAYS, LEAVES = "127.0.0.2", "127.0.0.3"
NOBODY = 1
"""A port where no engine listens: what is in the snapshot does not hang on its health."""


class Routed(Heard):
    """Hands on what is found, as the gateway does, before it wakes who waits."""

    def __init__(self, client: AiohttpModelServer) -> None:
        super().__init__()
        self.endpoints = LiveEndpoints([], [])
        self.scraper = Scraper(
            client=client,
            clock=SteppingClock(),
            tokenizers=TokenizerCheck((), client, 1.0),
            up=self.endpoints.up,
            down=self.endpoints.down,
            interval_s=60.0,
            timeout_s=1.0,
            failures=1,
        )
        self._discovered = DiscoveredEndpoints(
            policies={},
            default=PoolPolicy(limits=LIMITS, probe=Probe.ENGINE),
            fixed=frozenset(),
            endpoints=self.endpoints,
            scraper=self.scraper,
            client=client,
            mailboxes={},
        )

    def endpoints_changed(self, snapshot: Snapshot) -> None:
        self._discovered.endpoints_changed(snapshot)
        super().endpoints_changed(snapshot)

    async def routes_to(self, *addresses: str, seconds: float = 15.0) -> None:
        scope = {f"{address}:{NOBODY}" for address in addresses}
        await self.until(
            lambda: {state.endpoint.id for state in self.endpoints.states()} == scope, seconds
        )


@asynccontextmanager
async def routed(folder: Path) -> AsyncIterator[tuple[ApiServer, Routed]]:
    client = AiohttpModelServer(connect_timeout_s=1.0, api_keys={})
    async with running_api_server() as api:
        api.put(listed("stays", pod(STAYS)))
        api.put(listed("leaves", pod(LEAVES)))
        here = Routed(client)
        kubeconfig = str(api.kubeconfig(folder))
        scope = DiscoveryScope(namespaces=["tierflow"], selector=SELECTOR, kubeconfig=kubeconfig)
        discovery = Discovery(scope, here, shortest_pause_s)
        discovery.start()
        try:
            await here.routes_to(STAYS, LEAVES)
            await here.until(lambda: not discovery.watches[0].problem)
            yield api, here
        finally:
            await discovery.stop()
            await here.scraper.stop()
            await client.close()


def listed(name: str, *pods: Object) -> Object:
    return endpoint_slice(name, *pods, port=NOBODY)


@pytest.mark.parametrize(
    "members",
    [
        pytest.param([pod(LEAVES, False)], id="unready"),
        pytest.param([pod(LEAVES, False, serving=True, terminating=True)], id="terminating"),
        pytest.param([], id="gone"),
    ],
)
async def test_a_pod_that_turns_unready_leaves_the_routing_snapshot_in_under_a_second(
    tmp_path: Path, members: list[Object]
) -> None:
    async with routed(tmp_path) as (api, here):
        api.put(listed("leaves", *members))
        await here.routes_to(STAYS, seconds=LEAVING_S)


async def test_a_pool_that_is_deleted_leaves_the_routing_snapshot_in_under_a_second(
    tmp_path: Path,
) -> None:
    async with routed(tmp_path) as (api, here):
        api.delete("leaves")
        await here.routes_to(STAYS, seconds=LEAVING_S)
