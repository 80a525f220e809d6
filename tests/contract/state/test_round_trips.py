"""What a request costs on the wire."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.adapters.state.redis.connection import Target
from gateway.core.state.operations import (
    Advance,
    Claim,
    Held,
    Hold,
    Means,
    Read,
    Spend,
)
from tests.contract.state.stores import redis_store, target_of
from tests.counting_proxy import counting_proxy
from tests.redis_server import RedisServer, needs_redis, redis_cluster, redis_server

pytestmark = [pytest.mark.anyio, pytest.mark.redis, needs_redis]
ALL_AT_ONCE = (
    Hold(kind="device", name="phone", holder="one", value=b"v", ttl_s=5.0),
    Held("device"),
    Read("collective", "c"),
    Advance(kind="collective", name="c", expected=0, value=b"v", ttl_s=5.0),
    Spend(kind="quota", name="caller", amount=1.0, burst=100.0, per_s=1.0),
    Means("quality", ["phone/mathematics", "phone/code"]),
    Claim(name="key", digest="body", holder="one", lease_s=5.0, ttl_s=60.0),
)


def commands(server: RedisServer) -> dict[str, int]:
    with server.client() as client:
        stats = client.info("commandstats")
    return {name.removeprefix("cmdstat_"): int(value["calls"]) for name, value in stats.items()}


async def test_any_number_of_operations_is_one_round_trip(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        async with counting_proxy(server.port) as wire:
            store = redis_store(Target(addresses=[("127.0.0.1", wire.port)]))
            await store.run(*ALL_AT_ONCE)
            before = wire.trips
            for _ in range(10):
                await store.run(*ALL_AT_ONCE)
            assert wire.trips - before == 10
            assert wire.connections == 1
            await store.stop()


async def test_nothing_looks_through_all_keys(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        store = redis_store(target_of(server))
        await store.run(*ALL_AT_ONCE)
        await store.stop()
        used = commands(server)
        assert used["fcall"] >= len(ALL_AT_ONCE)
        assert not used.keys() & {"scan", "keys", "hgetall", "smembers"}


async def test_in_a_cluster_it_is_one_to_each_node_at_once(tmp_path: Path) -> None:
    with redis_cluster(tmp_path) as cluster:
        store = redis_store(Target(addresses=[("127.0.0.1", cluster.nodes[0].port)], cluster=True))
        await store.run(*ALL_AT_ONCE)
        before = [commands(node) for node in cluster.nodes]
        await store.run(*ALL_AT_ONCE)
        calls = 0
        for node, then in zip(cluster.nodes, before, strict=True):
            now = commands(node)
            calls += now["fcall"] - then.get("fcall", 0)
            more = {name for name, number in now.items() if number != then.get(name, 0)}
            assert not more & {"asking", "cluster|slots", "command|getkeys", "function|load"}
        assert calls == len(ALL_AT_ONCE)
        await store.stop()


async def test_many_callers_at_once_are_served_by_few_connections(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        async with counting_proxy(server.port) as wire:
            store = redis_store(Target(addresses=[("127.0.0.1", wire.port)]))
            await asyncio.gather(*(store.run(*ALL_AT_ONCE) for _ in range(300)))
            assert wire.connections <= 32
            await store.stop()
