"""The `Members` port: who is registered, at this replica or another, and the way to each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import structlog

from gateway.core.devices.grant import duplicate
from gateway.core.devices.member import Member, WorkOrder
from gateway.core.ports import Clock, MemberTelemetry, StateStore
from gateway.core.state.operations import Release
from gateway.errors import StateLost
from gateway.serving.devices.device_lease import (
    LeaseAcquirer,
    PendingReleases,
    RegisteredDevice,
    Sighting,
    release,
)
from gateway.serving.devices.registration import Membership
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

log = structlog.get_logger("tierflow.devices")


class MembersRegistry:
    """The registered devices: those of this replica, and those of its peers as far as it knows.

    It is the `Members` port for whoever has work, and the `Registrar` for connections. `lease_s`:
    seconds for which a device's lease holds in the store without being renewed.
    """

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
        self.releases = PendingReleases(self._held_again)
        self._acquirer = LeaseAcquirer(store, self.peers, lease_s)
        self._replica_outbox = replica_outbox
        self._remote_work = remote_work
        self._clock = clock
        self._telemetry = telemetry
        self._own: dict[str, RegisteredDevice] = {}

    # The `Members` port.

    def members(self) -> Sequence[Member]:
        own = [member for device in self._own.values() if (member := device.member) is not None]
        return own + [peer.lease.member for peer in self._only_at_peers()]

    def assign(self, device: str, order: WorkOrder) -> WorkAnswer:
        if (own := self._own.get(device)) is not None:
            answer = own.membership.assign(order)
        elif (peer := self.peers.get(device)) is not None:
            answer = self._remote_work.assign(peer.lease.member, order)
        else:
            answer = failed(device, "unknown", f"{device} is not registered")
        began = self._clock.now()
        answer.when_over(
            lambda outcome: self._telemetry.work(order.kind, outcome, self._clock.now() - began)
        )
        return answer

    def assign_for_peer(self, order: RemoteOrder) -> WorkAnswer:
        """Give work that another replica asks for to a device that is connected here."""
        own = self._own.get(order.device)
        member = own.membership.member if own is not None else None
        if own is None or member is None or member.instance != order.instance:
            return failed(order.device, "lost", f"{order.device} is not connected there any more")
        return own.membership.assign(order.order)

    # The `Registrar` port.

    async def join(self, membership: Membership, member: Member) -> None:
        """Raises RegistrationRefused. While the store is lost the registration stands here alone,
        and its lease is taken when the store is back."""
        self._end_older(membership, member)
        device = self._own[member.id] = RegisteredDevice(membership)
        began = self._clock.now()
        held: bool | None
        try:
            held = await self._acquirer.acquire(device, member, self.releases.pop(member.id))
        except StateLost:
            held = None
        if held is False:
            if self._own.get(member.id) is device:
                del self._own[member.id]
            self._telemetry.registration("duplicate_device")
            raise duplicate()
        if held:
            device.held_since, device.superseded = began, []
        self.peers.came_here(member.id)
        self._replica_outbox.put(DEVICES, DeviceJoined(member))
        models = [model.name for model in member.models]
        log.info("device_registered", device=member.id, models=models, max_work=member.max_work)
        self._telemetry.registration("registered")
        self._telemetry.registered(len(self._own))

    def leave(self, membership: Membership) -> None:
        """For all replicas, at once. A connection that was replaced leaves nothing behind."""
        device = self._registered(membership)
        if device is None:
            return
        del self._own[membership.grant.device]
        if membership.claimed is not None:
            self.releases.add(release(membership.claimed))
        self._replica_outbox.put(DEVICES, DeviceLeft(membership.grant.device, self.replica))
        self._telemetry.registered(len(self._own))

    def state_changed(self, membership: Membership) -> None:
        if (device := self._registered(membership)) is not None:
            device.changed = True

    def name_is_free(self, membership: Membership) -> bool:
        name = membership.grant.device
        taken = name in self._own and self._registered(membership) is None
        return not taken and self.peers.get(name) is None

    def work_refused(self, code: str) -> None:
        self._telemetry.refused(code)

    def registration_refused(self, code: str) -> None:
        self._telemetry.registration(code)

    # For `Leases`, the bus and operators.

    def own(self) -> Iterator[tuple[str, RegisteredDevice]]:
        return iter(list(self._own.items()))

    def find_own(self, device: str) -> RegisteredDevice | None:
        return self._own.get(device)

    def sightings(self) -> list[Sighting]:
        """Every registered device, and when it was heard."""
        now = self._clock.now()
        own = [
            Sighting(device.lease(member), now - device.membership.heard_at)
            for device in self._own.values()
            if (member := device.member) is not None
        ]
        return own + [Sighting(peer.lease, now - peer.since) for peer in self._only_at_peers()]

    def evict(self, device: str, code: str, message: str) -> None:
        """Somebody else has the lease: the connection ends, and the lease is left alone."""
        if (own := self._own.pop(device, None)) is not None:
            self._telemetry.registered(len(self._own))
            own.membership.end(code, message)

    def evict_moved(self, device: str) -> None:
        self.evict(device, "replaced", "the device has come back at another replica")

    def _end_older(self, membership: Membership, member: Member) -> None:
        """End the older connection of the same process. Raises RegistrationRefused where another
        process is registered here under the name."""
        older = self._own.get(member.id)
        if older is None or older.membership is membership:
            return
        claimed = older.membership.claimed
        if claimed is not None and claimed.instance != member.instance:
            self._telemetry.registration("duplicate_device")
            raise duplicate()
        older.membership.end("replaced", "the device has come back on a newer connection")

    def _registered(self, membership: Membership) -> RegisteredDevice | None:
        """The device of this very connection; None where it was replaced, or never registered."""
        device = self._own.get(membership.grant.device)
        return device if device is not None and device.membership is membership else None

    def _held_again(self, release: Release) -> bool:
        own = self._own.get(release.name)
        claimed = None if own is None else own.membership.claimed
        return claimed is not None and holder(claimed) == release.holder

    def _only_at_peers(self) -> list[PeerDevice]:
        return [peer for peer in self.peers if peer.lease.member.id not in self._own]
