"""What keeps leases alive and the view of other replicas current, while the gateway runs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.core.devices.grant import duplicate
from gateway.core.devices.member import Member
from gateway.core.ports import Clock, StateStore
from gateway.core.state.operations import Held, Hold, Operation, Release
from gateway.errors import StateLost
from gateway.serving.members.entry import Entry
from gateway.serving.members.messages import encode_lease
from gateway.serving.members.registry import KIND, MembersRegistry

REFRESH_S = 1.0
REPLICA = "replica"
REPLICA_LEASE_S = 3.0


@dataclass(frozen=True, slots=True)
class Period:
    """Seconds: how long a device's lease holds, how often it is renewed."""

    lease_s: float
    renew_s: float


class Leases:
    """Of this replica and of the devices that are connected to it."""

    def __init__(
        self, registry: MembersRegistry, store: StateStore, clock: Clock, period: Period
    ) -> None:
        self._registry = registry
        self._store = store
        self._clock = clock
        self._period = period
        self._renewed = float("-inf")
        self._refreshed = clock.now()

    async def run(self) -> None:
        """For ever: every REFRESH_S, or sooner where there is something to give up."""
        while True:
            await self.turn()
            try:
                async with asyncio.timeout(REFRESH_S):
                    await self._registry.news.wait()
            except TimeoutError:
                pass

    async def turn(self) -> None:
        """One round trip, whatever there is to do. Never raises for the store."""
        self._registry.news.clear()
        registry, began = self._registry, self._clock.now()
        all_due = began - self._renewed >= self._period.renew_s
        due = [
            (d, e) for d, e in registry.entries() if all_due or e.changed or e.held_since is None
        ]
        releases = registry.releases()
        holds = [self._hold(entry) for _, entry in due]
        operations: list[Operation] = [
            *releases,
            Hold(REPLICA, registry.replica, registry.replica, b"", REPLICA_LEASE_S),
            Held(REPLICA),
            Held(KIND),
            *(hold for hold in holds if hold is not None),
        ]
        try:
            results = (await self._store.run(*operations))[len(releases) + 1 :]
        except StateLost:
            self._lost(releases, began)
            return
        self._refreshed = began
        self._renewed = began if all_due else self._renewed
        self._look(results[0], results[1], began)
        renewed = [pair for pair, hold in zip(due, holds, strict=True) if hold is not None]
        self._take(renewed, results[2:], began)

    async def stop(self) -> None:
        """Give everything up, as far as the store can be reached."""
        registry = self._registry
        own = [
            Release(KIND, device, entry.membership.claimed.instance)
            for device, entry in registry.entries()
            if entry.membership.claimed is not None
        ]
        try:
            await self._store.run(
                *registry.releases(), *own, Release(REPLICA, registry.replica, registry.replica)
            )
        except StateLost:
            pass

    def _hold(self, entry: Entry) -> Hold | None:
        if (member := entry.member) is None:
            return None
        value = encode_lease(entry.renewal(member))
        return Hold(KIND, member.id, member.instance, value, self._period.lease_s)

    def _look(
        self, replicas: Mapping[str, Any], held: Mapping[str, bytes | None], began: float
    ) -> None:
        members: Mapping[str, Member] = self._registry.others.refresh(
            held, replicas, began, self._clock.now()
        )
        for device, entry in self._registry.entries():
            there, mine = members.get(device), entry.membership.member
            if (
                there is not None
                and mine is not None
                and there.instance == mine.instance
                and there.replica != self._registry.replica
                and entry.held_since is not None
                and entry.held_since < began
            ):
                self._registry.give_up(
                    device, "replaced", "the device has come back at another replica"
                )

    def _take(self, renewed: list[tuple[str, Entry]], held: list[Any], began: float) -> None:
        for (device, entry), ours in zip(renewed, held, strict=True):
            if self._registry.entry(device) is not entry:
                continue
            if ours:
                entry.held_since = began
            else:
                refused = duplicate()
                self._registry.give_up(device, refused.code, refused.message)

    def _lost(self, releases: list[Release], began: float) -> None:
        """Own devices go on; what others had is forgotten when it may be over."""
        self._registry.put_back(releases)
        if began - self._refreshed > self._period.lease_s:
            self._registry.others.forget()
