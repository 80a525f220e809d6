"""A registered device as the registry keeps it, and as it shows it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gateway.core.devices.member import Member
from gateway.core.state.operations import Release
from gateway.serving.devices.membership import Membership
from gateway.serving.devices.replicas.messages import DeviceLease


class Entry:
    """A device that is registered here. `held_since`: when the store said that the lease is ours
    (None: not yet). `older`: gives up the lease that the device had at another replica before it
    came here."""

    def __init__(self, membership: Membership) -> None:
        self.membership = membership
        self.held_since: float | None = None
        self.older: list[Release] = []
        self.beat = 0
        self.changed = True
        self._told = 0
        self._shown: Member | None = None

    @property
    def member(self) -> Member | None:
        """With the work that it has now, where the device itself says less."""
        member = self.membership.member
        if member is None:
            return None
        working = max(member.condition.working, self.membership.table.in_flight)
        if working == member.condition.working:
            return member
        condition = replace(member.condition, working=working)
        if self._shown is None or self._shown != replace(member, condition=condition):
            self._shown = replace(member, condition=condition)
        return self._shown

    @property
    def due(self) -> bool:
        """Whether the store should hear of it before its time."""
        told = self._told == self.membership.table.in_flight
        return self.changed or not told or self.held_since is None

    def renewal(self, member: Member) -> DeviceLease:
        self.beat, self.changed = self.beat + 1, False
        self._told = self.membership.table.in_flight
        return self.lease(member)

    def lease(self, member: Member) -> DeviceLease:
        table = self.membership.table
        return DeviceLease(member, self.beat, table.in_flight, table.finished, dict(table.refusals))


@dataclass(frozen=True, slots=True)
class Sighting:
    """`age_s`: since the device was heard here, or its lease was seen renewed elsewhere."""

    lease: DeviceLease
    age_s: float
