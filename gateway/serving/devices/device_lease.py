"""A device's lease in the shared store: how replicas agree on who is registered under a name.

At most one process of a device is registered at a time, over all replicas. The store decides it, by
one lease for each device's name. Its holder is "<instance>/<replica>": the process of the device,
and the replica that has its connection. Its value is a `DeviceLease`.

    phone (instance 8f)          replica A                  store                 replica B
      register ------------------> Hold 8f/A --------------> nobody has it: A's
                                   Hold 8f/A, beat + 1 ----> renewed, every `renew_s`
      (moves, or loses its link)
      register -----------------------------------------------------------------> the same instance:
                                                            B's <--- Release 8f/A, Hold 8f/B
                                   connection ends <----------------- DeviceJoined
                                   ("replaced")
    another (instance c2)
      register ------------------> Hold c2/A --------------> B's: refused
                                   "duplicate_device"

- **Hold and renew**: only the replica with the connection, under its own holder. A replica that
  crashes renews nothing, and its devices' names are free when `lease_s` have passed.
- **Give up**: a replica releases leases with its own name in the holder, when the connection ends.
  The release is kept (`PendingReleases`) until the store has been told. The one lease of another
  replica that it may release is that of the same instance, which is connected here now.
- **Lease gone**: a replica that finds another holder (`Leases`) ends the device's connection, and
  leaves the lease alone.
- **While the store is lost** a registration stands at this replica alone, and its lease is taken
  when the store is back: whoever comes second then is the one that has to go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from gateway.core.devices.member import Member
from gateway.core.ports import StateStore
from gateway.core.state.operations import Held, Hold, Release
from gateway.serving.devices.registration import Membership
from gateway.serving.devices.replicas.messages import (
    DeviceLease,
    decode_lease,
    encode_lease,
    holder,
)
from gateway.serving.devices.replicas.peers import PeerDevices

KIND = "device"
MAX_RELEASES = 10_000


@dataclass(frozen=True, slots=True)
class Sighting:
    """A registered device as operators see it. `age_s`: seconds since it was heard here, or since
    its lease was seen renewed at another replica."""

    lease: DeviceLease
    age_s: float


class RegisteredDevice:
    """A device that is registered at this replica, with what this replica knows of its lease.

    `held_since` is when the store said last that the lease is held from here; None: not yet.
    `changed`: the store should hear of it before the renewal is due. `superseded` gives up
    the lease that the device had at another replica before it came here. `beat` counts renewals.
    """

    def __init__(self, membership: Membership) -> None:
        self.membership = membership
        self.held_since: float | None = None
        self.superseded: list[Release] = []
        self.beat = 0
        self.changed = True
        self._published_in_flight = 0
        self._shown: Member | None = None

    @property
    def member(self) -> Member | None:
        """The member as others should see it: with the work that it has from the gateway, where the
        device itself reports less. The same object as long as nothing changes."""
        member = self.membership.member
        if member is None:
            return None
        working = max(member.condition.working, self.membership.work_table.in_flight)
        if working == member.condition.working:
            return member
        shown = replace(member, condition=replace(member.condition, working=working))
        if self._shown != shown:
            self._shown = shown
        return self._shown

    @property
    def due(self) -> bool:
        """Whether the store should hear of it before its time."""
        news = self._published_in_flight != self.membership.work_table.in_flight
        return self.changed or news or self.held_since is None

    def renewal(self, member: Member) -> DeviceLease:
        """The lease for the next renewal, which then counts as published."""
        self.beat, self.changed = self.beat + 1, False
        self._published_in_flight = self.membership.work_table.in_flight
        return self.lease(member)

    def lease(self, member: Member) -> DeviceLease:
        table = self.membership.work_table
        return DeviceLease(
            member=member,
            beat=self.beat,
            in_flight=table.in_flight,
            finished=table.finished,
            refusals=dict(table.refusals),
        )


def hold(member: Member, lease: DeviceLease, lease_s: float) -> Hold:
    """Takes or renews it, for `lease_s` seconds."""
    return Hold(
        kind=KIND, name=member.id, holder=holder(member), value=encode_lease(lease), ttl_s=lease_s
    )


def release(member: Member) -> Release:
    return Release(KIND, member.id, holder(member))


def held_at_peer(member: Member, peers: PeerDevices) -> Member | None:
    """The same process of the device, where another replica has its lease as far as is known."""
    other = peers.lease(member.id)
    if other is None or other.instance != member.instance or other.replica == member.replica:
        return None
    return other


class LeaseAcquirer:
    """The taker of the leases of devices that register here.

    `lease_s`: seconds for which a lease holds in the store without being renewed.
    """

    def __init__(self, store: StateStore, peers: PeerDevices, lease_s: float) -> None:
        self._store = store
        self._peers = peers
        self._lease_s = lease_s

    async def acquire(
        self, device: RegisteredDevice, member: Member, before: Sequence[Release]
    ) -> bool:
        """Whether the lease is ours; False where somebody else has it. Raises StateLost.

        `before` is done first. A lease that the same process of the device has at another replica
        is given up; where the store is lost, `device.superseded` keeps its release for later.
        """
        claim = hold(member, device.lease(member), self._lease_s)
        at_peer = held_at_peer(member, self._peers)
        device.superseded = [] if at_peer is None else [release(at_peer)]
        *_, held = await self._store.run(*before, *device.superseded, claim)
        if not held and not device.superseded:
            held = await self._take_over(member, claim)
        return bool(held)

    async def _take_over(self, member: Member, claim: Hold) -> bool:
        """The device may have moved here before this replica has heard of its lease. The store
        knows whether the lease is that of the same process."""
        if self._peers.lease(member.id) is not None:
            return False
        (held,) = await self._store.run(Held(KIND))
        lease = decode_lease(held.get(member.id))
        if lease is None or lease.member.instance != member.instance:
            return False
        superseded = Release(KIND, member.id, holder(lease.member))
        _, taken = await self._store.run(superseded, claim)
        return bool(taken)


class PendingReleases:
    """Leases to be given up, until the store has been told.

    `held_again(release)`: the device of this lease is registered here again, under the same holder.
    """

    def __init__(self, held_again: Callable[[Release], bool]) -> None:
        self._held_again = held_again
        self._waiting: list[Release] = []
        self.added = asyncio.Event()

    def add(self, release: Release) -> None:
        self._waiting.append(release)
        self.added.set()

    def pop(self, device: str | None = None) -> list[Release]:
        """Those of one device, or all. The caller must carry them out, or put them back."""
        popped = [release for release in self._waiting if device in (None, release.name)]
        self._waiting = [release for release in self._waiting if release not in popped]
        return popped

    def put_back(self, releases: list[Release]) -> None:
        """They could not be carried out. Those of devices that have come back here are dropped, as
        they would give up the new lease; so are the oldest of too many, whose leases lapse."""
        kept = [release for release in releases if not self._held_again(release)]
        self._waiting = [*kept, *self._waiting][-MAX_RELEASES:]
