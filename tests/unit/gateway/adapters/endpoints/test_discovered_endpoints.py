"""What discovery finds becomes the gateway's endpoints, under the pools' own policies."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.adapters.endpoints.kubernetes import DiscoveredEndpoints, PoolPolicy
from gateway.adapters.endpoints.live import LiveEndpoints
from gateway.adapters.endpoints.scraper import Scraper
from gateway.adapters.engines.client import AiohttpModelServer
from gateway.adapters.engines.fingerprint import TokenizerCheck
from gateway.adapters.engines.mailbox import Mailbox
from gateway.adapters.prometheus.endpoints import PoolMetrics
from gateway.core.tier import Tier
from gateway.core.types import Endpoint, EndpointState, Limits, PoolState, Probe
from k8s.discovery.endpoints import FoundEndpoint, FoundPool, Snapshot
from tests.unit.gateway.build import LIMITS
from tests.unit.gateway.fakes import SteppingClock

pytestmark = pytest.mark.anyio

SECRET = b"sixteen-or-more-c"
EDGE = FoundPool("edge", "edge", ("rill-edge",))


class EndpointsRig:
    def __init__(self, client: AiohttpModelServer) -> None:
        fixed = Endpoint(
            id="10.9.9.9:80",
            url="http://10.9.9.9:80",
            pool="elsewhere",
            tier=Tier.CLOUD,
            probe=Probe.ENGINE,
        )
        self.endpoints = LiveEndpoints(
            [EndpointState(endpoint=fixed, limits=LIMITS)],
            [
                PoolState(name="edge", tier=Tier.EDGE, hold_s=30.0),
                PoolState(name="elsewhere", tier=Tier.CLOUD),
            ],
        )
        self.mailboxes: dict[str, Mailbox] = {}
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
        self.discovered = DiscoveredEndpoints(
            policies={
                "edge": PoolPolicy(
                    tier=Tier.EDGE, limits=Limits(3, 5), probe=Probe.ENGINE, mailbox_secret=SECRET
                ),
                "secure": PoolPolicy(limits=LIMITS, probe=Probe.ENGINE, https=True),
            },
            default=PoolPolicy(limits=LIMITS, probe=Probe.ENGINE),
            fixed=frozenset({"elsewhere"}),
            endpoints=self.endpoints,
            scraper=self.scraper,
            client=client,
            mailboxes=self.mailboxes,
        )

    def finds(self, *endpoints: FoundEndpoint, pools: tuple[FoundPool, ...] = (EDGE,)) -> None:
        self.discovered.endpoints_changed(Snapshot(pools, endpoints))

    def found(self) -> dict[str, EndpointState]:
        return {s.endpoint.id: s for s in self.endpoints.states()[1:]}


@asynccontextmanager
async def rig() -> AsyncIterator[EndpointsRig]:
    client = AiohttpModelServer(connect_timeout_s=1.0, api_keys={})
    built = EndpointsRig(client)
    try:
        yield built
    finally:
        await built.scraper.stop()
        for mailbox in built.mailboxes.values():
            await mailbox.stop()
        await client.close()


async def test_an_endpoint_takes_its_pools_policy_and_an_unlisted_pool_the_defaults() -> None:
    async with rig() as here:
        more = FoundPool("more", "cloud")
        here.finds(
            FoundEndpoint(pool="edge", host="127.0.0.1", port=1),
            FoundEndpoint(pool="more", host="[::1]", port=2),
            pools=(EDGE, more),
        )
        edge, other = here.found().values()
        assert (edge.endpoint.url, edge.limits) == ("http://127.0.0.1:1", Limits(3, 5))
        assert (other.endpoint.url, other.endpoint.tier) == ("http://[::1]:2", Tier.CLOUD)
        assert other.limits == LIMITS
        assert {pool.name: pool.tier for pool in here.endpoints.pools()} == {
            "edge": Tier.EDGE,
            "elsewhere": Tier.CLOUD,
            "more": Tier.CLOUD,
        }
        here.finds(FoundEndpoint(pool="edge", host="127.0.0.1", port=1))
        assert [pool.name for pool in here.endpoints.pools()] == ["edge", "elsewhere"]


async def test_the_engines_of_a_pool_with_tls_are_called_by_https() -> None:
    async with rig() as here:
        here.finds(
            FoundEndpoint(pool="secure", host="127.0.0.1", port=1),
            pools=(FoundPool("secure", "cloud"),),
        )
        (found,) = here.found().values()
        assert found.endpoint.url == "https://127.0.0.1:1"


async def test_a_mailbox_comes_and_goes_with_its_endpoint() -> None:
    async with rig() as here:
        here.finds(
            FoundEndpoint(pool="edge", host="[::1]", port=1, drafts_port=9),
            FoundEndpoint(pool="edge", host="127.0.0.2", port=1),
        )
        (first,) = here.mailboxes.values()
        assert (first.endpoint_id, first.address) == ("[::1]:1", "[::1]:9")
        here.finds(FoundEndpoint(pool="edge", host="[::1]", port=1, drafts_port=8))
        (second,) = here.mailboxes.values()
        assert second.address == "[::1]:8"
        here.finds()
        assert here.mailboxes == {}


async def test_a_pool_without_a_secret_gets_no_drafts() -> None:
    async with rig() as here:
        more = FoundPool("more", "cloud")
        here.finds(
            FoundEndpoint(pool="more", host="127.0.0.1", port=1, drafts_port=9), pools=(more,)
        )
        assert here.mailboxes == {}


async def test_slices_cannot_add_to_a_pool_that_is_listed() -> None:
    async with rig() as here:
        here.finds(
            FoundEndpoint(pool="elsewhere", host="127.0.0.1", port=1),
            pools=(FoundPool("elsewhere", "cloud"),),
        )
        assert here.found() == {}
        assert here.discovered.passed_over == (
            "pool elsewhere has a list of endpoints in the configuration",
        )


async def test_an_unknown_tier_is_passed_over_and_a_configured_one_counts() -> None:
    async with rig() as here:
        here.finds(
            FoundEndpoint(pool="edge", host="127.0.0.1", port=1),
            FoundEndpoint(pool="more", host="127.0.0.2", port=1),
            pools=(FoundPool("edge", "cloud"), FoundPool("more", "moon")),
        )
        (edge,) = here.found().values()
        assert edge.endpoint.tier is Tier.EDGE
        assert here.discovered.passed_over == (
            "pool edge is labelled cloud; edge is configured",
            "pool more: no such tier as 'moon'",
        )


async def test_the_demand_counts_what_is_held_and_what_still_ends_at_one_that_left() -> None:
    async with rig() as here:
        here.finds(
            FoundEndpoint(pool="edge", host="127.0.0.1", port=1),
            FoundEndpoint(pool="edge", host="127.0.0.2", port=1),
        )
        for state in here.found().values():
            state.in_flight = 2
        here.finds(FoundEndpoint(pool="edge", host="127.0.0.2", port=1))
        here.endpoints.pools()[0].held = 3
        demand, held = PoolMetrics(here.endpoints).collect()
        assert {s.labels["pool"]: s.value for s in demand.samples} == {"edge": 7, "elsewhere": 0}
        assert {s.labels["pool"]: s.value for s in held.samples} == {"edge": 3, "elsewhere": 0}
