"""What keeps leases alive and the view of other replicas current, while the gateway runs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from gateway.core.devices.grant import duplicate
from gateway.core.devices.member import Member
from gateway.core.ports import Clock, StateStore
from gateway.core.state.operations import Held, Hold, Release
from gateway.errors import StateLost
from gateway.serving.devices import device_lease
from gateway.serving.devices.entry import Entry
from gateway.serving.devices.registry import MembersRegistry
from gateway.serving.devices.replicas.slices import slices

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
        self, *, registry: MembersRegistry, store: StateStore, clock: Clock, period: Period
    ) -> None:
        self._registry = registry
        self._store = store
        self._clock = clock
        self._period = period
        self._refreshed = clock.now()

    async def run(self) -> None:
        """For ever: a turn every REFRESH_S, and meanwhile what is given up, at once."""
        while True:
            await self.turn()
            until = asyncio.get_running_loop().time() + REFRESH_S
            while await self._news(until):
                await self.release()

    async def turn(self) -> None:
        """A look at all leases, then those of this replica: what has gone elsewhere meanwhile is
        not renewed. Where the look fails they are all the same. Never raises for the store."""
        began, replica = self._clock.now(), self._registry.replica
        await self.release()
        living = Hold(kind=REPLICA, name=replica, holder=replica, value=b"", ttl_s=REPLICA_LEASE_S)
        try:
            _, replicas = await self._store.run(living, Held(REPLICA))
            asked = self._clock.now()
            (held,) = await self._store.run(Held(device_lease.KIND))
        except StateLost:
            self._lost(began)
        else:
            self._refreshed = began
            self._registry.peers.refresh(held, replicas, asked, self._clock.now())
            self._look(began)
        await self._renew(began)

    async def release(self) -> None:
        """Give up the leases of devices that have left, or keep them in mind."""
        released = self._registry.released
        released.news.clear()
        released.put_back(await self._give_up(released.take()))

    async def stop(self) -> None:
        """Give everything up, as far as the store can be reached."""
        registry = self._registry
        own = [
            device_lease.release(entry.membership.claimed)
            for _, entry in registry.entries()
            if entry.membership.claimed is not None
        ]
        replica = Release(REPLICA, registry.replica, registry.replica)
        await self._give_up([*registry.released.take(), *own, replica])

    async def _news(self, until: float) -> bool:
        """Whether there was any before then, on the loop's clock."""
        try:
            async with asyncio.timeout_at(until):
                await self._registry.released.news.wait()
        except TimeoutError:
            return False
        return True

    async def _give_up(self, releases: list[Release]) -> list[Release]:
        """Gives those that could not be done."""
        done = 0
        try:
            for some in slices(releases):
                await self._store.run(*some)
                done += len(some)
        except StateLost:
            pass
        return releases[done:]

    def _look(self, began: float) -> None:
        for device, entry in self._registry.entries():
            since = entry.held_since
            if since is not None and since < began and self._moved(entry):
                self._registry.give_up(
                    device, "replaced", "the device has come back at another replica"
                )

    def _moved(self, entry: Entry) -> bool:
        """Whether another replica has the lease of the same process of the device."""
        mine = entry.membership.member
        return mine is not None and device_lease.elsewhere(mine, self._registry.peers) is not None

    async def _renew(self, began: float) -> None:
        """Those first that have waited longest: of more than the store takes at a time none waits
        for ever."""
        due = [entry for _, entry in self._registry.entries() if self._due(entry, began)]
        due.sort(key=lambda entry: entry.held_since or float("-inf"))
        for some in slices(due):
            pairs = [
                (entry, member)
                for entry in some
                if (member := entry.member) is not None and self._registry.entry(member.id) is entry
            ]
            older = [release for entry, _ in pairs for release in entry.older]
            holds = [self._hold(entry, member) for entry, member in pairs]
            if not holds:
                continue
            try:
                results = await self._store.run(*older, *holds)
            except StateLost:
                for entry, _ in pairs:
                    entry.changed = True
                return
            for (entry, _), ours in zip(pairs, results[len(older) :], strict=True):
                self._take(entry, ours, began)

    def _due(self, entry: Entry, now: float) -> bool:
        since = entry.held_since
        return entry.due or since is None or now - since >= self._period.renew_s

    def _hold(self, entry: Entry, member: Member) -> Hold:
        return device_lease.hold(member, entry.renewal(member), self._period.lease_s)

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

    def _lost(self, began: float) -> None:
        """Own devices go on; what others had is forgotten when it may be over."""
        if began - self._refreshed > self._period.lease_s:
            self._registry.peers.forget()
