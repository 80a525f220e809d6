"""Which store stands behind the port, by the settings."""

from __future__ import annotations

import random
import secrets
import ssl
from contextlib import AsyncExitStack

from prometheus_client import CollectorRegistry

from gateway.adapters.prometheus.state import StateMetrics
from gateway.adapters.state.failover import FailoverStore
from gateway.adapters.state.mark import StoreMark
from gateway.adapters.state.memory import MemoryBounds, MemoryStore
from gateway.adapters.state.redis.connection import Credentials, Target
from gateway.adapters.state.redis.store import LOOKS_IN_A_CLUSTER, RedisStore
from gateway.core.ports import Clock, StateStore
from gateway.settings import Settings
from gateway.settings.checks.addresses import parse_address
from gateway.settings.state import SENTINEL_PORT, Redis, parse_url
from gateway.wiring.tasks import start_task


class SharedState:
    """The store that the replicas share, or the one in memory: `store` is for everybody.

    `shared` never stands in for what is lost: it raises StateLost whatever the rule is, for those
    whom an answer of this replica's own memory would mislead.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        registry: CollectorRegistry,
        clock: Clock,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        state = settings.state
        limits = MemoryBounds(
            state.memory.max_entries, state.memory.max_bytes, state.max_value_bytes
        )
        memory = MemoryStore(clock, limits)
        metrics = StateMetrics(registry, lambda: self.store.problem())
        self.store: StateStore = memory
        self.shared: StateStore = memory
        self._served: FailoverStore | None = None
        self._mark: StoreMark | None = None
        self._replicas = state.replicas
        if state.redis is not None:
            redis = RedisStore(
                target=target(state.redis, tls),
                uniform=random.random,
                timeout_s=state.timeout_s,
                prefix=state.prefix,
                max_value_bytes=state.max_value_bytes,
            )
            local = memory if state.when_lost == "open" else None
            self._served = FailoverStore(
                store=redis, local=local, clock=clock, telemetry=metrics, uniform=random.random
            )
            self.store, self.shared = self._served, self._served.without_local()
            self._mark = StoreMark(
                store=redis,
                clock=clock,
                telemetry=metrics,
                new_id=lambda: secrets.token_hex(16),
                places=LOOKS_IN_A_CLUSTER if redis.target.cluster else 1,
            )

    async def start(self, stack: AsyncExitStack) -> None:
        """Inside the event loop; `stack` stops what was started."""
        if self._served is not None:
            stack.push_async_callback(self._served.stop)
            await self._served.start()
        if self._mark is not None:
            start_task(stack, "state-mark", self._mark.run)

    def conditions(self) -> dict[str, str]:
        """What is degraded, by name, in words for the operator."""
        conditions = {}
        if problem := self.store.problem():
            conditions["state-lost"] = problem
        if self._mark is not None and (emptied := self._mark.problem()):
            conditions["state-emptied"] = emptied
        if self._served is None and self._replicas > 1:
            conditions["state-not-shared"] = (
                f"up to {self._replicas} replicas run, each with state of its own; "
                "set state.redis to have them share it"
            )
        return conditions


def target(redis: Redis, tls: ssl.SSLContext | None = None) -> Target:
    """Where the settings say that it is, and how it is spoken to."""
    username, password, database = redis.username, redis.password, 0
    addresses = [parse_address(each, SENTINEL_PORT) for each in (*redis.sentinels, *redis.nodes)]
    if redis.url is not None:
        url = parse_url(redis.url.get_secret_value())
        addresses.insert(0, (url.host, url.port))
        username, password = username or url.username, password or url.password
        database = url.database
    return Target(
        addresses=addresses,
        database=database,
        cluster=redis.cluster,
        master=redis.master,
        credentials=Credentials(username, password.get_secret_value() if password else None),
        sentinel_credentials=Credentials(
            redis.sentinel_username,
            redis.sentinel_password.get_secret_value() if redis.sentinel_password else None,
        ),
        tls=tls,
    )
