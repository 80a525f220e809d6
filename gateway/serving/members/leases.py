"""What keeps leases alive and the view of other replicas current, while the gateway runs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from gateway.core.devices.grant import duplicate
from gateway.core.devices.member import Member
from gateway.core.ports import Clock, StateStore
from gateway.core.state.operations import Held, Hold, Release
from gateway.errors import StateLost
from gateway.serving.members.entry import Entry
from gateway.serving.members.messages import encode_lease, holder
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
        """A look at all leases, then those of this replica: what has gone elsewhere meanwhile is
        not renewed. Never raises for the store."""
        self._registry.news.clear()
        began, releases = self._clock.now(), self._registry.releases()
        replica = self._registry.replica
        living = Hold(REPLICA, replica, replica, b"", REPLICA_LEASE_S)
        try:
            *_, replicas, held = await self._store.run(*releases, living, Held(REPLICA), Held(KIND))
        except StateLost:
            self._lost(releases, began)
            return
        self._refreshed = began
        self._registry.others.refresh(held, replicas, began, self._clock.now())
        self._look(began)
        await self._renew(began)

    async def stop(self) -> None:
        """Give everything up, as far as the store can be reached."""
        registry = self._registry
        own = [
            Release(KIND, device, holder(entry.membership.claimed))
            for device, entry in registry.entries()
            if entry.membership.claimed is not None
        ]
        try:
            await self._store.run(
                *registry.releases(), *own, Release(REPLICA, registry.replica, registry.replica)
            )
        except StateLost:
            pass

    def _look(self, began: float) -> None:
        for device, entry in self._registry.entries():
            since = entry.held_since
            if since is not None and since < began and self._moved(entry):
                self._registry.give_up(
                    device, "replaced", "the device has come back at another replica"
                )

    def _moved(self, entry: Entry) -> bool:
        """Whether another replica has the lease of the same process of the device."""
        if (mine := entry.membership.member) is None:
            return False
        there = self._registry.others.lease(mine.id)
        return (
            there is not None
            and there.instance == mine.instance
            and there.replica != self._registry.replica
        )

    async def _renew(self, began: float) -> None:
        all_due = began - self._renewed >= self._period.renew_s
        due = [
            (entry, member)
            for _, entry in self._registry.entries()
            if (all_due or entry.due)
            and (member := entry.member) is not None
        ]
        older = [release for entry, _ in due for release in entry.older]
        holds = [self._hold(entry, member) for entry, member in due]
        try:
            results = await self._store.run(*older, *holds)
        except StateLost:
            return
        self._renewed = began if all_due else self._renewed
        for (entry, _), ours in zip(due, results[len(older) :], strict=True):
            self._take(entry, ours, began)

    def _hold(self, entry: Entry, member: Member) -> Hold:
        value = encode_lease(entry.renewal(member))
        return Hold(KIND, member.id, holder(member), value, self._period.lease_s)

    def _take(self, entry: Entry, ours: bool, began: float) -> None:
        device = entry.membership.grant.device
        if self._registry.entry(device) is not entry:
            return
        if ours:
            entry.held_since, entry.older = began, []
        elif self._moved(entry):
            self._registry.give_up(
                device, "replaced", "the device has come back at another replica"
            )
        else:
            refused = duplicate()
            self._registry.give_up(device, refused.code, refused.message)

    def _lost(self, releases: list[Release], began: float) -> None:
        """Own devices go on; what others had is forgotten when it may be over."""
        self._registry.put_back(releases)
        if began - self._refreshed > self._period.lease_s:
            self._registry.others.forget()
