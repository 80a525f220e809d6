"""The `Members` port: who is registered, with this replica or another, and the way to each."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from gateway.core.devices.grant import duplicate
from gateway.core.devices.member import Member, WorkOrder
from gateway.core.ports import Clock, MemberTelemetry, StateStore
from gateway.core.state.operations import Held, Hold, Release
from gateway.errors import StateLost
from gateway.serving.members.assignment import Answer, failed
from gateway.serving.members.courier import Courier
from gateway.serving.members.elsewhere import WorkElsewhere
from gateway.serving.members.entry import Entry, Sighting
from gateway.serving.members.membership import Membership
from gateway.serving.members.messages import (
    DEVICES,
    Joined,
    Left,
    Order,
    decode_lease,
    encode_lease,
    holder,
)
from gateway.serving.members.orders import Unfit, check, in_words, put_into_frame
from gateway.serving.members.others import OtherReplicas, Seen

KIND = "device"
MAX_RELEASES = 10_000


class MembersRegistry:
    """`lease_s`: how long a device's lease holds in the store without being renewed."""

    def __init__(
        self,
        replica: str,
        store: StateStore,
        courier: Courier,
        elsewhere: WorkElsewhere,
        clock: Clock,
        telemetry: MemberTelemetry,
        lease_s: float,
    ) -> None:
        self.replica = replica
        self.others = OtherReplicas(replica)
        self._store = store
        self._courier = courier
        self._elsewhere = elsewhere
        self._clock = clock
        self._telemetry = telemetry
        self._lease_s = lease_s
        self._own: dict[str, Entry] = {}
        self._released: list[Release] = []
        self.news = asyncio.Event()
        """Set when there is something to tell the store."""

    def members(self) -> Sequence[Member]:
        found = [member for entry in self._own.values() if (member := entry.member) is not None]
        found += [seen.lease.member for seen in self.others if self._foreign(seen)]
        return found

    def assign(self, device: str, order: WorkOrder) -> Answer:
        answer = self._assign(device, order)
        began = self._clock.now()
        answer.when_over(
            lambda outcome: self._telemetry.work(order.kind, outcome, self._clock.now() - began)
        )
        return answer

    def assign_here(self, order: Order) -> Answer:
        """What another replica asks for, of a device that is connected here."""
        entry = self._own.get(order.device)
        member = entry.membership.member if entry is not None else None
        if entry is None or member is None or member.instance != order.instance:
            return failed(order.device, "lost", f"{order.device} is not connected there any more")
        return entry.membership.assign(order.order)

    def _assign(self, device: str, order: WorkOrder) -> Answer:
        if (entry := self._own.get(device)) is not None:
            return entry.membership.assign(order)
        if (seen := self.others.get(device)) is None:
            return failed(device, "unknown", f"{device} is not registered")
        member = seen.lease.member
        try:
            check(member, order, self._elsewhere.in_flight(device))
            order = in_words(order)
            put_into_frame(1, order, order.deadline_s)  # What can't be given there goes nowhere.
        except Unfit as unfit:
            return failed(device, unfit.code, f"{device} {unfit.message}")
        return self._elsewhere.assign(member, order)

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
        value = encode_lease(entry.lease(member))
        hold = Hold(KIND, member.id, holder(member), value, self._lease_s)
        entry.older = self._older(member)
        try:
            *_, held = await self._store.run(*self.releases(member.id), *entry.older, hold)
            if not held and not entry.older:
                held = await self._take_over(member, hold)
        except StateLost:
            held = None
        if held is False:
            if self._own.get(member.id) is entry:
                del self._own[member.id]
            self._telemetry.registration("duplicate_device")
            raise duplicate()
        if held:
            entry.held_since, entry.older = began, []
        self.others.came_here(member.id)
        self._courier.put(DEVICES, Joined(member))
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
            self._released.append(Release(KIND, device, holder(membership.claimed)))
            self.news.set()
        self._courier.put(DEVICES, Left(device, self.replica))
        self._telemetry.registered(len(self._own))

    def changed(self, membership: Membership) -> None:
        entry = self._own.get(membership.grant.device)
        if entry is not None and entry.membership is membership:
            entry.changed = True

    def free(self, membership: Membership) -> bool:
        device = membership.grant.device
        entry = self._own.get(device)
        taken = entry is not None and entry.membership is not membership
        return not taken and self.others.get(device) is None

    def refused(self, code: str) -> None:
        """A device refused its work."""
        self._telemetry.refused(code)

    def turned_away(self, code: str) -> None:
        """A device was refused."""
        self._telemetry.registration(code)

    def _older(self, member: Member) -> list[Release]:
        """Gives up the lease that the same process of the device has at another replica."""
        there = self.others.lease(member.id)
        if there is None or there.instance != member.instance or there.replica == self.replica:
            return []
        return [Release(KIND, member.id, holder(there))]

    async def _take_over(self, member: Member, hold: Hold) -> bool:
        """Where the device has come from another replica before this one has heard of it there."""
        if self.others.lease(member.id) is not None:
            return False
        (held,) = await self._store.run(Held(KIND))
        there = decode_lease(held.get(member.id))
        if there is None or there.member.instance != member.instance:
            return False
        older = Release(KIND, member.id, holder(there.member))
        return bool((await self._store.run(older, hold))[1])

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
        found += [Sighting(s.lease, now - s.since) for s in self.others if self._foreign(s)]
        return found

    def releases(self, device: str | None = None) -> list[Release]:
        """Leases that are to be given up (of one device, or all), which the caller must do."""
        wanted = [r for r in self._released if device in (None, r.name)]
        self._released = [r for r in self._released if r not in wanted]
        return wanted

    def put_back(self, releases: list[Release]) -> None:
        """They could not be done. An older one than a lease lasts does nothing, and one of a
        device that has come back here is none any more."""
        kept = [release for release in releases if not self._holds(release)]
        self._released = [*kept, *self._released][-MAX_RELEASES:]

    def give_up(self, device: str, code: str, message: str) -> None:
        """Somebody else has the lease: the connection ends, and leaves the lease alone."""
        if (entry := self._own.pop(device, None)) is not None:
            self._telemetry.registered(len(self._own))
            entry.membership.end(code, message)

    def _holds(self, release: Release) -> bool:
        entry = self._own.get(release.name)
        claimed = None if entry is None else entry.membership.claimed
        return claimed is not None and holder(claimed) == release.holder

    def _foreign(self, seen: Seen) -> bool:
        return seen.lease.member.id not in self._own
