"""A device's lease in the store: the operations on it, and taking it when the device comes."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.devices.member import Member
from gateway.core.ports import StateStore
from gateway.core.state.operations import Held, Hold, Release
from gateway.serving.devices.entry import Entry
from gateway.serving.devices.replicas.messages import (
    DeviceLease,
    decode_lease,
    encode_lease,
    holder,
)
from gateway.serving.devices.replicas.peers import PeerDevices

KIND = "device"


def hold(member: Member, lease: DeviceLease, lease_s: float) -> Hold:
    """Takes or renews it, for `lease_s` seconds."""
    return Hold(
        kind=KIND, name=member.id, holder=holder(member), value=encode_lease(lease), ttl_s=lease_s
    )


def release(member: Member) -> Release:
    return Release(KIND, member.id, holder(member))


def elsewhere(member: Member, peers: PeerDevices) -> Member | None:
    """The same process of the device, where another replica has its lease as far as is known."""
    there = peers.lease(member.id)
    if there is None or there.instance != member.instance or there.replica == member.replica:
        return None
    return there


class LeaseTaking:
    """`lease_s`: how long a lease holds in the store without being renewed."""

    def __init__(self, store: StateStore, peers: PeerDevices, lease_s: float) -> None:
        self._store = store
        self._peers = peers
        self._lease_s = lease_s

    async def take(self, entry: Entry, member: Member, before: Sequence[Release]) -> bool:
        """Gives False where another has the lease. Raises StateLost.

        `before` is done first. A lease that the same process of the device has at another replica
        is given up; where the store is lost, `entry.older` keeps that in mind.
        """
        wanted = hold(member, entry.lease(member), self._lease_s)
        there = elsewhere(member, self._peers)
        entry.older = [] if there is None else [release(there)]
        *_, held = await self._store.run(*before, *entry.older, wanted)
        if not held and not entry.older:
            held = await self._take_over(member, wanted)
        return bool(held)

    async def _take_over(self, member: Member, wanted: Hold) -> bool:
        """Where the device has come from another replica before this one has heard of it there."""
        if self._peers.lease(member.id) is not None:
            return False
        (held,) = await self._store.run(Held(KIND))
        there = decode_lease(held.get(member.id))
        if there is None or there.member.instance != member.instance:
            return False
        older = Release(KIND, member.id, holder(there.member))
        return bool((await self._store.run(older, wanted))[1])
