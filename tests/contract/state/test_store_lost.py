"""Redis is killed, frozen, full, locked, failed over and moved about: nothing blocks, and the store
comes back by itself."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.crc import key_slot

from gateway.adapters.clock import MonotonicClock
from gateway.adapters.state import health
from gateway.adapters.state.failover import FailoverStore
from gateway.adapters.state.memory import MemoryStore
from gateway.adapters.state.redis.connection import Credentials, Target
from gateway.adapters.state.redis.keys import Keys
from gateway.core.state.operations import Advance, Held, Hold, Read
from gateway.errors import StateLost
from tests.contract.state.stores import redis_store, target_of
from tests.redis_server import (
    RedisCluster,
    RedisServer,
    needs_redis,
    redis_cluster,
    redis_server,
    sentinels,
)
from tests.servers import eventually
from tests.unit.gateway.build import BOUNDS

pytestmark = [pytest.mark.anyio, pytest.mark.redis, needs_redis]
LEASE = Hold(kind="device", name="phone", holder="one", value=b"v", ttl_s=60.0)


class Counts:
    """A telemetry that remembers."""

    def __init__(self) -> None:
        self.counted = Counter[tuple[str, str]]()
        self.trips = 0

    def round_trip(self, seconds: float) -> None:
        self.trips += 1

    def emptied(self) -> None: ...

    def operations(self, name: str, outcome: str, number: int) -> None:
        self.counted[name, outcome] += number


async def until(condition: Callable[[], Any], what: str, seconds: float = 30.0) -> None:
    try:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"not within {seconds:g} s: {what}") from None


@asynccontextmanager
async def failing_over(
    target: Target, when_lost: str = "closed", timeout_s: float = 0.5
) -> AsyncIterator[FailoverStore]:
    clock = MonotonicClock()
    store = FailoverStore(
        store=redis_store(target, timeout_s=timeout_s),
        local=MemoryStore(clock, BOUNDS) if when_lost == "open" else None,
        clock=clock,
        telemetry=Counts(),
        uniform=random.random,
    )
    await store.start()
    try:
        yield store
    finally:
        await store.stop()


async def lost(store: FailoverStore) -> None:
    await until(lambda: "until it is back" in (store.problem() or ""), "the loss shows")


async def back(store: FailoverStore) -> None:
    await until(lambda: store.problem() is None, "it is back")


@pytest.fixture(autouse=True)
def frequent_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What shows at a look shows soon."""
    monkeypatch.setattr(health, "LOOK_EVERY_S", 0.1)


@pytest.fixture(scope="module")
def whole_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    with redis_cluster(tmp_path_factory.mktemp("cluster")) as found:
        yield found


@pytest.fixture
def cluster(whole_cluster: RedisCluster) -> RedisCluster:
    """Whose nodes agree again after what another test did to one."""
    eventually(whole_cluster.settled, "the cluster's nodes agree", 30)
    return whole_cluster


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    with redis_server(tmp_path) as found:
        yield found


async def test_closed_what_needs_it_is_refused_until_it_is_back(server: RedisServer) -> None:
    async with failing_over(target_of(server)) as store:
        assert await store.run(LEASE) == [True]
        server.kill()
        await lost(store)
        with pytest.raises(StateLost, match=server.address) as refused:
            await store.run(LEASE)
        assert refused.value.code == "state_lost"
        with pytest.raises(StateLost):
            await store.publish("work", b"m")
        assert "what needs it is refused" in (store.problem() or "")
        server.start()
        await back(store)
        assert await store.run(Held("device"), LEASE) == [{}, True]


async def test_open_each_replica_goes_on_with_its_own(server: RedisServer) -> None:
    heard: list[bytes] = []
    async with failing_over(target_of(server), "open") as store:
        await store.listen("work", heard.append)
        await store.run(LEASE)
        server.kill()
        await lost(store)
        assert "every replica goes on with its own" in (store.problem() or "")
        assert await store.run(Held("device")) == [{}]
        assert await store.run(LEASE, Held("device")) == [True, {"phone": b"v"}]
        await store.publish("work", b"to myself")
        assert heard == [b"to myself"]
        server.start()
        await back(store)
        assert await store.run(Held("device")) == [{}], "the server's state counts"


async def test_a_server_that_falls_silent_holds_nobody_up(server: RedisServer) -> None:
    async with failing_over(target_of(server)) as store:
        await store.run(LEASE)
        server.freeze()
        # None of these would ever end by itself.
        results = await asyncio.gather(
            *(store.run(LEASE) for _ in range(100)),
            store.publish("work", b""),
            return_exceptions=True,
        )
        assert {type(result) for result in results} == {StateLost}
        await lost(store)
        await store.listen("work", lambda message: None)
        server.thaw()
        await back(store)
        assert (await store.run(Held("device")))[0] == {"phone": b"v"}


async def test_a_server_that_was_never_there_is_found_when_it_comes(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    heard = asyncio.Queue[bytes]()
    async with failing_over(target_of(server)) as store:
        assert "no connection" in (store.problem() or "")
        with pytest.raises(StateLost):
            await store.run(LEASE)
        await store.listen("work", heard.put_nowait)
        server.start()
        await back(store)
        await _arrives(store, heard)
        server.kill()


async def test_channels_are_heard_again_after_a_restart(server: RedisServer) -> None:
    heard = asyncio.Queue[bytes]()
    async with failing_over(target_of(server)) as store:
        await store.listen("work", heard.put_nowait)
        await _arrives(store, heard)
        server.kill()
        await lost(store)
        server.start()
        await _arrives(store, heard)


async def _arrives(store: FailoverStore, heard: asyncio.Queue[bytes]) -> None:
    async def publish() -> None:
        while True:
            try:
                await store.publish("work", b"m")
            except StateLost:
                pass
            await asyncio.sleep(0.02)

    publishing = asyncio.create_task(publish())
    async with asyncio.timeout(30):
        assert await heard.get() == b"m"
    publishing.cancel()
    await asyncio.gather(publishing, return_exceptions=True)


async def test_a_restart_that_nobody_noticed_costs_nobody_anything(server: RedisServer) -> None:
    store = redis_store(target_of(server))
    await asyncio.gather(*(store.run(LEASE) for _ in range(10)))
    server.kill()
    await asyncio.to_thread(server.start)
    # Connections that the restart closed are not used, and the functions are loaded again.
    assert await asyncio.gather(*(store.run(LEASE) for _ in range(10))) == [[True]] * 10
    await store.stop()


async def test_functions_that_were_flushed_are_loaded_again(server: RedisServer) -> None:
    store = redis_store(target_of(server))
    await store.run(LEASE)
    with server.client() as client:
        client.execute_command("FUNCTION", "FLUSH")
    assert await store.run(LEASE, Held("device")) == [True, {"phone": b"v"}]
    await store.stop()


async def test_a_full_server_is_lost_until_there_is_room(server: RedisServer) -> None:
    async with failing_over(target_of(server)) as store:
        with server.client() as client:
            client.config_set("maxmemory", "1")
            await lost(store)
            assert "OOM" in (store.problem() or "")
            client.config_set("maxmemory", "0")
        await back(store)


async def test_a_wrong_password_is_told_and_not_shown(tmp_path: Path) -> None:
    with redis_server(tmp_path, "--requirepass", "the right one") as server:
        wrong = Target(
            addresses=[("127.0.0.1", server.port)], credentials=Credentials(None, "hunter2")
        )
        async with failing_over(wrong) as store:
            problem = store.problem() or ""
            assert "credentials" in problem and "hunter2" not in problem
        assert "hunter2" not in repr(wrong)
        right = Target(
            addresses=[("127.0.0.1", server.port)], credentials=Credentials(None, "the right one")
        )
        async with failing_over(right) as store:
            assert await store.run(LEASE) == [True]


async def test_a_key_of_somebody_else_does_not_count_as_a_loss(server: RedisServer) -> None:
    async with failing_over(target_of(server)) as store:
        with server.client() as client:
            client.set(Keys("tierflow").round("collective", "c"), "not ours")
        for _ in range(5):
            with pytest.raises(StateLost) as refused:
                await store.run(Read("collective", "c"))
            assert refused.value.code == "state_refused"
        assert store.problem() is None
        assert await store.run(LEASE) == [True]


async def test_the_replica_that_sentinels_promote_is_found(tmp_path: Path) -> None:
    heard = asyncio.Queue[bytes]()
    with sentinels(tmp_path) as group:
        watching = [("127.0.0.1", each.port) for each in group.sentinels]
        async with failing_over(Target(addresses=watching, master=group.name)) as store:
            await store.listen("work", heard.put_nowait)
            await store.run(LEASE)
            first = group.master()
            # The replica has it before the master goes.
            with first.client() as client:
                eventually(lambda: client.wait(1, 1_000) == 1, "the replica has it")
            group.sentinels[0].freeze()
            first.kill()
            await lost(store)
            await back(store)
            assert await store.run(Held("device")) == [{"phone": b"v"}]
            await _arrives(store, heard)
            group.sentinels[0].thaw()


async def test_a_frozen_master_is_left_for_the_promoted_replica(tmp_path: Path) -> None:
    with sentinels(tmp_path) as group:
        watching = [("127.0.0.1", each.port) for each in group.sentinels]
        async with failing_over(Target(addresses=watching, master=group.name)) as store:
            await store.run(LEASE)
            first = group.master()
            first.freeze()
            await lost(store)
            await back(store)
            assert group.master() is not first
            assert await store.run(LEASE) == [True]


async def test_a_cluster_without_one_of_its_masters_is_lost_until_it_is_back(
    cluster: RedisCluster,
) -> None:
    seeds = [("127.0.0.1", node.port) for node in cluster.nodes]
    async with failing_over(Target(addresses=seeds, cluster=True)) as store:
        await store.run(LEASE)
        cluster.nodes[0].freeze()
        await lost(store)
        cluster.nodes[0].thaw()
        await back(store)
        assert await store.run(LEASE) == [True]


async def test_a_slot_that_moves_is_followed(cluster: RedisCluster) -> None:
    store = redis_store(Target(addresses=[("127.0.0.1", cluster.nodes[0].port)], cluster=True))
    expected = 0
    moving = "collective", "moving"

    def advance(expected: int, value: bytes) -> Advance:
        kind, name = moving
        return Advance(kind=kind, name=name, expected=expected, value=value, ttl_s=60.0)

    assert await store.run(advance(expected, b"here")) == [True]
    await store.run(Read(*moving))
    with _moving(cluster, Keys("tierflow").round(*moving)) as finish:
        # The slot's key has gone over already: ASK leads there.
        assert await store.run(Read(*moving), Read("collective", "another")) == [
            (1, b"here"),
            (0, None),
        ]
        finish()
        # And now MOVED does.
        assert await store.run(Read(*moving), advance(1, b"there")) == [
            (1, b"here"),
            True,
        ]
    await store.stop()


class _moving:
    """Takes a key's slot from its node to another, the key first."""

    def __init__(self, cluster: RedisCluster, key: str) -> None:
        self.slot = key_slot(key.encode())
        share = 16384 // 3
        place = min(self.slot // share, 2)
        self.nodes = cluster.nodes
        self.source, self.target = cluster.nodes[place], cluster.nodes[(place + 1) % 3]
        self.key = key

    def __enter__(self) -> Callable[[], None]:
        with self.source.client() as source, self.target.client() as target:
            ids = (
                source.execute_command("CLUSTER", "MYID"),
                target.execute_command("CLUSTER", "MYID"),
            )
            self.target_id = ids[1]
            target.execute_command("CLUSTER", "SETSLOT", self.slot, "IMPORTING", ids[0])
            source.execute_command("CLUSTER", "SETSLOT", self.slot, "MIGRATING", ids[1])
            source.migrate("127.0.0.1", self.target.port, self.key, 0, 5000)
        return self.finish

    def finish(self) -> None:
        for node in (self.target, self.source):
            with node.client() as client:
                client.execute_command("CLUSTER", "SETSLOT", self.slot, "NODE", self.target_id)

    def __exit__(self, *unused: object) -> None:
        pass


async def test_a_cluster_heard_by_one_node_is_heard_of_all(cluster: RedisCluster) -> None:
    stores = [
        redis_store(Target(addresses=[("127.0.0.1", node.port)], cluster=True))
        for node in cluster.nodes
    ]
    heard = asyncio.Queue[bytes]()
    for store in stores:
        store.start()
        await store.listen("work", heard.put_nowait)
    with redis.Redis(port=cluster.nodes[0].port) as client:
        client.publish("tierflow:work", b"m")
    async with asyncio.timeout(20):
        assert [await heard.get() for _ in stores] == [b"m"] * 3
    for store in stores:
        await store.stop()
