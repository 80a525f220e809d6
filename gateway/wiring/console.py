"""The console: the feed of what it is told, and what it shows of the gateway's parts."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.api.operators.device_cards import device_cards
from gateway.core.ports import Clock, EndpointSource
from gateway.core.streams.event_log import stream_id
from gateway.core.types import Endpoint, EndpointState, PoolState
from gateway.protocol.console import ConsoleEndpoint, ConsoleMap, ConsolePool
from gateway.serving.console.feed import Feed
from gateway.serving.console.onlooker import ConsoleOnlooker
from gateway.serving.devices.registry import MembersRegistry

MAX_CONSOLES = 16


def build_onlooker(clock: Clock) -> ConsoleOnlooker:
    life = stream_id(secrets.token_hex(8), secrets.token_hex(16))
    return ConsoleOnlooker(feed=Feed(name=life, clock=clock, most=MAX_CONSOLES), wall=time.time)


@dataclass(frozen=True, slots=True, kw_only=True)
class MapView:
    """The map of what a gateway has. `callers`: their routes are at the console's address, too;
    `way` tells in which way an endpoint takes drafts."""

    endpoints: EndpointSource
    members: MembersRegistry
    conditions: Callable[[], Mapping[str, str]]
    way: Callable[[Endpoint], Literal["mailbox", "rounds", "none"]]
    clock: Clock
    callers: bool

    def __call__(self) -> ConsoleMap:
        by_pool: dict[str, list[EndpointState]] = {}
        for state in self.endpoints.states():
            by_pool.setdefault(state.endpoint.pool, []).append(state)
        return ConsoleMap(
            callers=self.callers,
            conditions=dict(self.conditions()),
            pools=[self._pool(pool, by_pool.get(pool.name, ())) for pool in self.endpoints.pools()],
            devices=device_cards((), {}, {}, self.members.sightings()),
        )

    def _pool(self, pool: PoolState, states: Sequence[EndpointState]) -> ConsolePool:
        now = self.clock.now()
        return ConsolePool(
            name=pool.name,
            tier=pool.tier.value,
            held=pool.held,
            drafts=self.way(states[0].endpoint) if states else "none",
            endpoints=[_endpoint(state, now) for state in states],
        )


def _endpoint(state: EndpointState, now: float) -> ConsoleEndpoint:
    return ConsoleEndpoint(
        id=state.endpoint.id,
        condition=state.condition(now),
        models=sorted(state.models),
        running=state.running,
        waiting=state.waiting,
        in_flight=state.in_flight,
        kv_use=round(state.kv_use, 3),
        s_per_token=round(state.decode_s_per_token.at(now), 4),
    )
