"""The `Members` port: who is registered, with this replica or another, and the way to each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gateway.core.devices.grant import duplicate
from gateway.core.devices.member import Member, WorkOrder
from gateway.core.ports import Clock, MemberTelemetry, StateStore
from gateway.core.state.operations import Release
from gateway.errors import StateLost
from gateway.serving.devices.device_lease import LeaseTaking, release
from gateway.serving.devices.entry import Entry, Sighting
from gateway.serving.devices.membership import Membership
from gateway.serving.devices.releases import Releases
from gateway.serving.devices.replicas.messages import (
    DEVICES,
    DeviceJoined,
    DeviceLeft,
    RemoteOrder,
    holder,
)
from gateway.serving.devices.replicas.outbox import ReplicaOutbox
from gateway.serving.devices.replicas.peers import PeerDevice, PeerDevices
from gateway.serving.devices.replicas.remote_work import RemoteWork
from gateway.serving.devices.work_answer import WorkAnswer, failed


class MembersRegistry:
    """`lease_s`: how long a device's lease holds in the store without being renewed."""

    def __init__(
        self,
        *,
        replica: str,
        store: StateStore,
        replica_outbox: ReplicaOutbox,
        remote_work: RemoteWork,
        clock: Clock,
        telemetry: MemberTelemetry,
        lease_s: float,
    ) -> None:
        self.replica = replica
        self.peers = PeerDevices(replica)
        self.released = Releases(self._holds)
        self._leases = LeaseTaking(store, self.peers, lease_s)
        self._replica_outbox = replica_outbox
        self._remote_work = remote_work
        self._clock = clock
        self._telemetry = telemetry
        self._own: dict[str, Entry] = {}

    def members(self) -> Sequence[Member]:
        found = [member for entry in self._own.values() if (member := entry.member) is not None]
        found += [seen.lease.member for seen in self.peers if self._foreign(seen)]
        return found

    def assign(self, device: str, order: WorkOrder) -> WorkAnswer:
        answer = self._assign(device, order)
        began = self._clock.now()
        answer.when_over(
            lambda outcome: self._telemetry.work(order.kind, outcome, self._clock.now() - began)
        )
        return answer

    def assign_here(self, order: RemoteOrder) -> WorkAnswer:
        """What another replica asks for, of a device that is connected here."""
        entry = self._own.get(order.device)
        member = entry.membership.member if entry is not None else None
        if entry is None or member is None or member.instance != order.instance:
            return failed(order.device, "lost", f"{order.device} is not connected there any more")
        return entry.membership.assign(order.order)

    def _assign(self, device: str, order: WorkOrder) -> WorkAnswer:
        if (entry := self._own.get(device)) is not None:
            return entry.membership.assign(order)
        if (seen := self.peers.get(device)) is None:
            return failed(device, "unknown", f"{device} is not registered")
        return self._remote_work.assign(seen.lease.member, order)

    # What connections say.

    async def join(self, membership: Membership, member: Member) -> None:
        """Raises RegistrationRefused. While the store is lost the registration stands here alone,
        and its lease is taken when the store is back."""
        older = self._own.get(member.id)
        if older is not None and older.membership is not membership:
            claimed = older.membership.claimed
            if claimed is not None and claimed.instance != member.instance:
                self._telemetry.registration("duplicate_device")
                raise duplicate()
            older.membership.end("replaced", "the device has come back on a newer connection")
        entry = self._own[member.id] = Entry(membership)
        began = self._clock.now()
        held: bool | None
        try:
            held = await self._leases.take(entry, member, self.released.take(member.id))
        except StateLost:
            held = None
        if held is False:
            if self._own.get(member.id) is entry:
                del self._own[member.id]
            self._telemetry.registration("duplicate_device")
            raise duplicate()
        if held:
            entry.held_since, entry.older = began, []
        self.peers.came_here(member.id)
        self._replica_outbox.put(DEVICES, DeviceJoined(member))
        self._telemetry.registration("registered")
        self._telemetry.registered(len(self._own))

    def leave(self, membership: Membership) -> None:
        """At once, for everybody; one that was replaced leaves nothing behind."""
        device = membership.grant.device
        entry = self._own.get(device)
        if entry is None or entry.membership is not membership:
            return
        del self._own[device]
        if membership.claimed is not None:
            self.released.add(release(membership.claimed))
        self._replica_outbox.put(DEVICES, DeviceLeft(device, self.replica))
        self._telemetry.registered(len(self._own))

    def changed(self, membership: Membership) -> None:
        entry = self._own.get(membership.grant.device)
        if entry is not None and entry.membership is membership:
            entry.changed = True

    def free(self, membership: Membership) -> bool:
        device = membership.grant.device
        entry = self._own.get(device)
        taken = entry is not None and entry.membership is not membership
        return not taken and self.peers.get(device) is None

    def refused(self, code: str) -> None:
        """A device refused its work."""
        self._telemetry.refused(code)

    def turned_away(self, code: str) -> None:
        """A device was refused."""
        self._telemetry.registration(code)

    # What keeps it current.

    def entries(self) -> Iterator[tuple[str, Entry]]:
        return iter(list(self._own.items()))

    def entry(self, device: str) -> Entry | None:
        return self._own.get(device)

    def sightings(self) -> list[Sighting]:
        """For operators: every registered device, and when it was heard."""
        now, found = self._clock.now(), list[Sighting]()
        for entry in self._own.values():
            if (member := entry.member) is not None:
                age = now - entry.membership.heard
                found.append(Sighting(entry.lease(member), age))
        found += [Sighting(s.lease, now - s.since) for s in self.peers if self._foreign(s)]
        return found

    def give_up(self, device: str, code: str, message: str) -> None:
        """Somebody else has the lease: the connection ends, and leaves the lease alone."""
        if (entry := self._own.pop(device, None)) is not None:
            self._telemetry.registered(len(self._own))
            entry.membership.end(code, message)

    def _holds(self, release: Release) -> bool:
        entry = self._own.get(release.name)
        claimed = None if entry is None else entry.membership.claimed
        return claimed is not None and holder(claimed) == release.holder

    def _foreign(self, seen: PeerDevice) -> bool:
        return seen.lease.member.id not in self._own
