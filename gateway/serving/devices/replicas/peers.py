"""Devices that are registered with other replicas, as far as this replica knows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from gateway.core.devices.member import Member
from gateway.serving.devices.replicas.messages import DeviceLease, decode_lease


@dataclass(frozen=True, slots=True)
class PeerDevice:
    """A device of another replica. `since`: when this renewal of its lease was seen first."""

    lease: DeviceLease
    since: float


class PeerDevices:
    """The devices of other replicas: from what those announce, at once, and from the store's
    leases, which are read now and then, as announcements can be lost."""

    def __init__(self, replica: str) -> None:
        self._replica = replica
        self._devices: dict[str, PeerDevice] = {}
        self._leases: dict[str, Member] = {}

    def get(self, device: str) -> PeerDevice | None:
        return self._devices.get(device)

    def __iter__(self) -> Iterator[PeerDevice]:
        return iter(list(self._devices.values()))

    def add(self, member: Member, now: float) -> None:
        if member.replica != self._replica:
            self._devices[member.id] = PeerDevice(DeviceLease(member=member), now)

    def remove(self, device: str, replica: str) -> None:
        """Remove it, unless it is registered with a third replica by now."""
        peer = self._devices.get(device)
        if peer is not None and peer.lease.member.replica == replica:
            del self._devices[device]

    def lease(self, device: str) -> Member | None:
        """The member that has the lease, as far as is known; its replica may be gone."""
        peer = self._devices.get(device)
        return self._leases.get(device) if peer is None else peer.lease.member

    def came_here(self, device: str) -> None:
        self._devices.pop(device, None)
        self._leases.pop(device, None)

    def refresh(
        self,
        held: Mapping[str, bytes | None],
        replicas: Collection[str],
        read_at: float,
        now: float,
    ) -> None:
        """Replace everything by the leases that the store had at `read_at`, or a little later.
        Devices of replicas that are gone are left out, as nobody can reach them."""
        devices = dict[str, PeerDevice]()
        self._leases = {}
        for device, value in held.items():
            lease = decode_lease(value)
            if lease is None or lease.member.id != device:
                continue
            self._leases[device] = lease.member
            replica = lease.member.replica
            if replica == self._replica or replica not in replicas:
                continue
            before = self._devices.get(device)
            same = before is not None and before.lease.beat == lease.beat
            devices[device] = PeerDevice(lease, before.since if same and before else now)
        # What was announced meanwhile may be newer than the answer.
        newer = {device: peer for device, peer in self._devices.items() if peer.since > read_at}
        self._devices = newer | devices

    def forget(self) -> None:
        self._devices = {}
