"""Every store that stands behind the `StateStore` port, with time that a test can move."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.adapters.state.memory import MemoryStore
from gateway.adapters.state.redis import functions
from gateway.adapters.state.redis.connection import Target
from gateway.adapters.state.redis.store import RedisStore
from gateway.core.ports import StateStore
from gateway.core.state.operations import Operation
from tests.redis_server import RedisServer, redis_cluster, redis_server, sentinels
from tests.unit.gateway.build import BOUNDS

PATIENCE_S = 5.0
"""These tests are about what is done, not how fast: the machine may be busy."""
GONE = -2
"""Redis's answer to PTTL for a key that is not there."""


def target_of(server: RedisServer) -> Target:
    return Target(addresses=[("127.0.0.1", server.port)])


@dataclass
class Servers:
    """Real Redis, each kind started when it is first asked for. `data` are the servers that hold
    keys."""

    folder: Path
    stack: ExitStack
    started: dict[str, tuple[Target, tuple[RedisServer, ...]]] = field(default_factory=dict)

    def get(self, kind: str) -> tuple[Target, tuple[RedisServer, ...]]:
        if kind not in self.started:
            self.started[kind] = self._start(kind)
        return self.started[kind]

    def _start(self, kind: str) -> tuple[Target, tuple[RedisServer, ...]]:
        if kind == "redis":
            server = self.stack.enter_context(redis_server(self.folder))
            return target_of(server), (server,)
        if kind == "sentinel":
            group = self.stack.enter_context(sentinels(self.folder))
            watching = [("127.0.0.1", each.port) for each in group.sentinels]
            return Target(addresses=watching, master=group.name), tuple(group.servers)
        cluster = self.stack.enter_context(redis_cluster(self.folder))
        first = ("127.0.0.1", cluster.nodes[0].port)
        return Target(addresses=[first], cluster=True), tuple(cluster.nodes)


class Moving:
    """The real clock, and what a test adds to it."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        return time.monotonic() + self.ahead


def functions_ahead(seconds: float) -> functions.Library:
    """The shipped functions, on a server whose clock is ahead."""
    shipped = functions.library().code.partition("\n")[2]
    source = shipped.replace(functions.library().name, "LIBRARY")
    moved = source.replace("/ 1e6", f"/ 1e6 + {seconds!r}")
    assert moved != source, "the functions read the time in another way"
    return functions.library(moved)


@dataclass
class StoreReplicas:
    """Two replicas' stores on one state; in memory they are one and the same."""

    kind: str
    one: StateStore
    other: StateStore
    prefix: str
    servers: tuple[RedisServer, ...] = ()
    clock: Moving = field(default_factory=Moving)

    async def run(self, *operations: Operation) -> list[Any]:
        return await self.one.run(*operations)

    async def first(self, operation: Operation) -> Any:
        (result,) = await self.one.run(operation)
        return result

    def travel(self, seconds: float) -> None:
        self.clock.ahead += seconds
        for store in (self.one, self.other):
            if isinstance(store, RedisStore):
                store.functions = functions_ahead(self.clock.ahead)


@asynccontextmanager
async def replicas(kind: str, servers: Servers) -> AsyncIterator[StoreReplicas]:
    clock, prefix = Moving(), f"test-{secrets.token_hex(4)}"
    if kind == "memory":
        memory = MemoryStore(clock, BOUNDS)
        yield StoreReplicas(kind, memory, memory, prefix, (), clock)
        return
    target, data = servers.get(kind)
    one, other = redis_store(target, prefix), redis_store(target, prefix)
    one.start()
    other.start()
    yield StoreReplicas(kind, one, other, prefix, data, clock)
    await one.stop()
    await other.stop()


def redis_store(
    target: Target, prefix: str = "tierflow", timeout_s: float = PATIENCE_S
) -> RedisStore:
    return RedisStore(
        target=target,
        uniform=random.random,
        timeout_s=timeout_s,
        prefix=prefix,
        max_value_bytes=BOUNDS.max_value_bytes,
    )


def keys_of(replicas: StoreReplicas) -> Iterator[tuple[RedisServer, str, int]]:
    """(server, key, milliseconds to live) of all that they have stored; -1: for ever."""
    for server in replicas.servers:
        with server.client() as client:
            for key in client.scan_iter(f"{replicas.prefix}:*"):
                # It may expire between the two calls.
                if (left := int(client.pttl(key))) != GONE:
                    yield server, key, left
