"""A replica of the gateway that only asks: it shares a Redis with real gateways, and gives work to
the devices that are connected to them.

As a process it asks one device for one piece of work, and waits:

    python -m tests.integration.devices.asker redis://127.0.0.1:6379/0 phone
"""

from __future__ import annotations

import asyncio
import random
import secrets
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from prometheus_client import CollectorRegistry

from gateway.adapters.clock import MonotonicClock
from gateway.adapters.prometheus.devices import MemberMetrics
from gateway.core.devices.member import MemberFailed, WorkEnd, WorkOrder
from gateway.core.ports import Assignment
from gateway.serving.devices.leases import Leases, Period
from gateway.serving.devices.registry import MembersRegistry
from gateway.serving.devices.replicas.bus import ReplicaBus
from gateway.serving.devices.replicas.outbox import ReplicaOutbox
from gateway.serving.devices.replicas.remote_work import RemoteWork
from gateway.serving.devices.tokens import DeviceTokens, TokenWatch
from gateway.settings import Settings
from gateway.wiring.state import SharedState

QUESTION = [{"role": "user", "content": "3 + 4?"}]


class NoDevices:
    def enrolled_tokens(self) -> Mapping[str, str]:
        return {}

    def end_revoked(self, device: str, digest: str) -> None: ...


@asynccontextmanager
async def asker(redis: str) -> AsyncIterator[MembersRegistry]:
    pools: Any = {"cloud": {"tier": "cloud", "endpoints": ["http://127.0.0.1:9"]}}
    settings = Settings(pools=pools, state={"redis": {"url": redis}, "timeout_s": 2})  # type: ignore[arg-type]
    clock, stack = MonotonicClock(), AsyncExitStack()
    state = SharedState(settings, CollectorRegistry(), clock)
    await state.start(stack)
    store, replica = state.shared, secrets.token_hex(8)
    replica_outbox = ReplicaOutbox(store)
    remote_work = RemoteWork(
        replica=replica,
        replica_outbox=replica_outbox,
        clock=clock,
        new_id=lambda: secrets.token_hex(16),
    )
    members = MembersRegistry(
        replica=replica,
        store=store,
        replica_outbox=replica_outbox,
        remote_work=remote_work,
        clock=clock,
        telemetry=MemberMetrics(CollectorRegistry()),
        lease_s=15.0,
    )
    leases = Leases(registry=members, store=store, clock=clock, period=Period(15.0, 5.0))
    watch = TokenWatch(
        devices=NoDevices(),
        tokens=DeviceTokens(tokens={}, owners={}, store=store, clock=clock),
        store=store,
        clock=clock,
    )
    bus = ReplicaBus(
        store=store,
        registry=members,
        remote_work=remote_work,
        replica_outbox=replica_outbox,
        leases=leases,
        clock=clock,
        watch=watch,
        uniform=random.random,
    )
    bus.start()
    try:
        yield members
    finally:
        await bus.stop()
        await stack.aclose()


def order(**fields: Any) -> WorkOrder:
    given: dict[str, Any] = {
        "kind": "generate",
        "messages": QUESTION,
        "max_tokens": 64,
        "deadline_s": 30.0,
    }
    return WorkOrder(**(given | fields))


async def known(members: MembersRegistry, *devices: str) -> None:
    """Wait until these, and no others, are registered somewhere."""
    async with asyncio.timeout(20):
        while {member.id for member in members.members()} != set(devices):
            await asyncio.sleep(0.02)


async def whole(assignment: Assignment) -> str:
    """The answer's text. Raises MemberFailed."""
    text = ""
    async with asyncio.timeout(30):
        while not isinstance(said := await assignment.read(), WorkEnd):
            text += said.text
    return text


async def failure(assignment: Assignment) -> str:
    try:
        text = await whole(assignment)
    except MemberFailed as failed:
        return str(failed.code)
    raise AssertionError(f"it came to a good end: {text}")


async def _main(redis: str, device: str) -> None:
    async with asker(redis) as members:
        await known(members, device)
        print(await whole(members.assign(device, order())), flush=True)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2]))
