"""What is known of devices that are registered with other replicas."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from gateway.core.devices.member import Member
from gateway.serving.devices.replicas.messages import DeviceLease, decode_lease


@dataclass(frozen=True, slots=True)
class PeerDevice:
    """`since`: when this renewal of the lease was seen first."""

    lease: DeviceLease
    since: float


class PeerDevices:
    """Kept by what they announce, and by looking at the store's leases now and then."""

    def __init__(self, replica: str) -> None:
        self._replica = replica
        self._seen: dict[str, PeerDevice] = {}
        self._leases: dict[str, Member] = {}

    def get(self, device: str) -> PeerDevice | None:
        return self._seen.get(device)

    def __iter__(self) -> Iterator[PeerDevice]:
        return iter(list(self._seen.values()))

    def joined(self, member: Member, now: float) -> None:
        if member.replica != self._replica:
            self._seen[member.id] = PeerDevice(DeviceLease(member), now)

    def left(self, device: str, replica: str) -> None:
        seen = self._seen.get(device)
        if seen is not None and seen.lease.member.replica == replica:
            del self._seen[device]

    def lease(self, device: str) -> Member | None:
        """The member that has the lease, as far as is known; its replica may be gone."""
        seen = self._seen.get(device)
        return self._leases.get(device) if seen is None else seen.lease.member

    def came_here(self, device: str) -> None:
        self._seen.pop(device, None)
        self._leases.pop(device, None)

    def refresh(
        self, held: Mapping[str, bytes | None], replicas: Collection[str], asked: float, now: float
    ) -> None:
        """Take all leases as the store had them when it was `asked`, or a little later. Devices of
        a replica that is gone are left out: they can't be reached."""
        found = dict[str, PeerDevice]()
        self._leases = {}
        for device, value in held.items():
            lease = decode_lease(value)
            if lease is None or lease.member.id != device:
                continue
            self._leases[device] = lease.member
            replica = lease.member.replica
            if replica == self._replica or replica not in replicas:
                continue
            before = self._seen.get(device)
            same = before is not None and before.lease.beat == lease.beat
            found[device] = PeerDevice(lease, before.since if same and before else now)
        # What was announced meanwhile may be newer than the answer.
        newer = {device: seen for device, seen in self._seen.items() if seen.since > asked}
        self._seen = newer | found

    def forget(self) -> None:
        self._seen = {}
