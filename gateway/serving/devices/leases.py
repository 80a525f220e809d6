"""Renewal of the leases of this replica and its devices, and the view of other replicas' leases."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from gateway.core.devices.grant import duplicate
from gateway.core.devices.member import Member
from gateway.core.ports import Clock, StateStore
from gateway.core.state.bounds import slices
from gateway.core.state.operations import Held, Hold, Release
from gateway.errors import StateLost
from gateway.serving.devices import device_lease
from gateway.serving.devices.device_lease import RegisteredDevice
from gateway.serving.devices.registry import MembersRegistry

REFRESH_S = 1.0
REPLICA = "replica"
REPLICA_LEASE_S = 3.0


@dataclass(frozen=True, slots=True)
class Period:
    """The times of a device's lease, in seconds: how long it holds, how often it is renewed."""

    lease_s: float
    renew_s: float


class Leases:
    """The task that renews leases: the replica's own, and those of the devices connected to it.

    Each turn reads all leases, ends connections whose device has moved to another replica, and
    renews what is due. See `device_lease` for the protocol.
    """

    def __init__(
        self, *, registry: MembersRegistry, store: StateStore, clock: Clock, period: Period
    ) -> None:
        self._registry = registry
        self._store = store
        self._clock = clock
        self._period = period
        self._refreshed = clock.now()

    async def run(self) -> None:
        """For ever: a turn every REFRESH_S, and in between releases as soon as there are any."""
        while True:
            await self.turn()
            until = asyncio.get_running_loop().time() + REFRESH_S
            while await self._release_added(until):
                await self.release()

    async def turn(self) -> None:
        """Read all leases first, so that a lease that has moved is not renewed. Where the reading
        fails, renewals go on all the same. Never raises for the store."""
        began, replica = self._clock.now(), self._registry.replica
        await self.release()
        own = Hold(kind=REPLICA, name=replica, holder=replica, value=b"", ttl_s=REPLICA_LEASE_S)
        try:
            _, replicas = await self._store.run(own, Held(REPLICA))
            read_at = self._clock.now()
            (held,) = await self._store.run(Held(device_lease.KIND))
        except StateLost:
            self._forget_peers(began)
        else:
            self._refreshed = began
            self._registry.peers.refresh(held, replicas, read_at, self._clock.now())
            self._evict_moved(began)
        await self._renew(began)

    async def release(self) -> None:
        """Give up the leases of devices that have left. What fails is kept for the next time."""
        releases = self._registry.releases
        releases.added.clear()
        releases.put_back(await self._give_up(releases.pop()))

    async def stop(self) -> None:
        """Give everything up, as far as the store can be reached."""
        registry = self._registry
        own = [
            device_lease.release(device.membership.claimed)
            for _, device in registry.own()
            if device.membership.claimed is not None
        ]
        replica = Release(REPLICA, registry.replica, registry.replica)
        await self._give_up([*registry.releases.pop(), *own, replica])

    async def _release_added(self, until: float) -> bool:
        """Whether there was one before `until`, on the loop's clock."""
        try:
            async with asyncio.timeout_at(until):
                await self._registry.releases.added.wait()
        except TimeoutError:
            return False
        return True

    async def _give_up(self, releases: list[Release]) -> list[Release]:
        """Gives those that could not be done."""
        done = 0
        try:
            for batch in slices(releases):
                await self._store.run(*batch)
                done += len(batch)
        except StateLost:
            pass
        return releases[done:]

    def _evict_moved(self, began: float) -> None:
        """Of leases that were held before `began`: newer ones may be missing in what was read."""
        for name, device in self._registry.own():
            since = device.held_since
            if since is not None and since < began and self._moved(device):
                self._registry.evict_moved(name)

    def _moved(self, device: RegisteredDevice) -> bool:
        """Whether another replica has the lease of the same process of the device."""
        member = device.membership.member
        return (
            member is not None
            and device_lease.held_at_peer(member, self._registry.peers) is not None
        )

    async def _renew(self, began: float) -> None:
        """Those first that have waited longest, so that all get their turn at a busy store."""
        due = [device for _, device in self._registry.own() if self._due(device, began)]
        due.sort(key=lambda device: device.held_since or float("-inf"))
        for batch in slices(due):
            pairs = [
                (device, member)
                for device in batch
                if (member := device.member) is not None
                and self._registry.find_own(member.id) is device
            ]
            superseded = [release for device, _ in pairs for release in device.superseded]
            holds = [self._hold(device, member) for device, member in pairs]
            if not holds:
                continue
            try:
                results = await self._store.run(*superseded, *holds)
            except StateLost:
                for device, _ in pairs:
                    device.changed = True
                return
            for (device, _), held in zip(pairs, results[len(superseded) :], strict=True):
                self._renewed(device, held, began)

    def _due(self, device: RegisteredDevice, now: float) -> bool:
        since = device.held_since
        return device.due or since is None or now - since >= self._period.renew_s

    def _hold(self, device: RegisteredDevice, member: Member) -> Hold:
        return device_lease.hold(member, device.renewal(member), self._period.lease_s)

    def _renewed(self, device: RegisteredDevice, held: bool, began: float) -> None:
        """`held`: the store's answer to the renewal that was sent after `began`."""
        name = device.membership.grant.device
        if self._registry.find_own(name) is not device:
            return
        if held:
            device.held_since, device.superseded = began, []
        elif self._moved(device):
            self._registry.evict_moved(name)
        else:
            refused = duplicate()
            self._registry.evict(name, refused.code, refused.message)

    def _forget_peers(self, began: float) -> None:
        """Other replicas' devices are forgotten once all leases that were read may have lapsed."""
        if began - self._refreshed > self._period.lease_s:
            self._registry.peers.forget()
