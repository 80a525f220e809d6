"""A device's registration as a member of the gateway, as one connection carries it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from gateway.core.devices.grant import Grant, RegistrationRefused, admit
from gateway.core.devices.member import DeviceModel, Member, MemberCondition, WorkOrder
from gateway.core.token_bucket import TokenBucket
from gateway.protocol.device_link import work
from gateway.serving.devices.outbox import Outbox
from gateway.serving.devices.work import ProtocolViolation, WorkLimits, WorkTable
from gateway.serving.devices.work_answer import WorkAnswer, failed

UPDATES_AT_ONCE, UPDATES_PER_S = 20.0, 2.0
"""Registrations and states of one device: all replicas are told of each."""


class Registrar(Protocol):
    """Where connections register their devices; `MembersRegistry` is one.

    `join` raises RegistrationRefused. `name_is_free`: nobody else is registered under the name of
    this membership's device. The last two only count.
    """

    replica: str

    async def join(self, membership: Membership, member: Member) -> None: ...

    def leave(self, membership: Membership) -> None: ...

    def state_changed(self, membership: Membership) -> None: ...

    def name_is_free(self, membership: Membership) -> bool: ...

    def registration_refused(self, code: str) -> None: ...

    def work_refused(self, code: str) -> None: ...


class Membership:
    """One connection's side of a registration: what the device says of itself, and its work.

    `claimed` is the member that the device has asked to be, from its first `register` on; `member`
    is set while the registration stands. `heard_at` is the time of the device's last frame, on the
    gateway's clock. `end(code, message)` closes the connection.
    """

    def __init__(
        self,
        *,
        grant: Grant,
        limits: WorkLimits,
        registrar: Registrar,
        outbox: Outbox,
        end: Callable[[str, str], None],
    ) -> None:
        self.grant = grant
        self.end = end
        self.member: Member | None = None
        self.claimed: Member | None = None
        self.heard_at = 0.0
        self.work_table = WorkTable(grant.device, limits, outbox)
        self._limits = limits
        self._registrar = registrar
        self._outbox = outbox
        self._condition = MemberCondition()
        self._joining: asyncio.Task[None] | None = None
        self._updates = TokenBucket(burst=UPDATES_AT_ONCE, per_s=UPDATES_PER_S)
        self._withdrawn = False

    def may_draft(self) -> bool:
        """Not while another connection is registered under this device's name."""
        return self.claimed is not None or self._registrar.name_is_free(self)

    def assign(self, order: WorkOrder) -> WorkAnswer:
        if self.member is None:
            return failed(self.grant.device, "unknown", f"{self.grant.device} is not registered")
        return self.work_table.assign(self.member, order)

    def handle(self, frame: work.FromDevice, size: int, now: float) -> None:
        """Carry out one frame of `size` bytes. Raises ProtocolViolation, and RegistrationRefused
        when the connection must end."""
        if isinstance(frame, work.Register | work.State) and not self._updates.spend(1.0, now):
            raise ProtocolViolation(
                "flood", f"more than {UPDATES_PER_S:g} registrations or states a second"
            )
        if isinstance(frame, work.Register):
            self._register(frame)
        elif self.claimed is None:
            raise ProtocolViolation("not_registered", "register: send it before frames about work")
        elif isinstance(frame, work.State):
            self._update(condition_from(frame.condition, self._condition))
        elif isinstance(frame, work.Piece):
            self.work_table.add_piece(frame, size)
        elif isinstance(frame, work.Finished):
            self.work_table.finish(frame, size)
        else:
            self.work_table.refuse(frame, size)
            self._registrar.work_refused(frame.code)

    def link_measured(self, round_trip_s: float, bytes_per_s: float) -> None:
        """Keep what the device measured. Pings are many, so replicas hear of it with the next
        renewal of the lease only."""
        self._condition = replace(
            self._condition, round_trip_s=round_trip_s, bytes_per_s=bytes_per_s
        )
        if self.member is not None:
            self.member = replace(self.member, condition=self._condition)

    def withdraw(self) -> None:
        """The device is to register elsewhere: it is given nothing more here. Work that it has
        goes on."""
        self._withdrawn = True
        self._registrar.leave(self)
        self.member = None

    def leave(self) -> list[asyncio.Task[None]]:
        """The connection is over: all its work fails. Gives tasks that the caller must cancel."""
        self._registrar.leave(self)
        self.member = None
        self.work_table.fail_all(f"the connection of {self.grant.device} is gone")
        return [] if self._joining is None else [self._joining]

    def _register(self, frame: work.Register) -> None:
        offered = member_from(frame, self._condition, self._registrar.replica)
        if self.claimed is not None and self.claimed.instance != offered.instance:
            raise ProtocolViolation(
                "instance_changed", "instance: it stays the same on one connection"
            )
        try:
            member = admit(self.grant, offered, self._limits.max_work)
        except RegistrationRefused as refused:
            self._registrar.registration_refused(refused.code)
            raise
        first, self.claimed = self.claimed is None, member
        self._condition = member.condition
        if self._withdrawn:
            return
        if first:
            self._joining = asyncio.create_task(self._join(member))
        elif self.member is not None:
            self._confirm(member)
            self._registrar.state_changed(self)

    async def _join(self, member: Member) -> None:
        try:
            await self._registrar.join(self, member)
        except RegistrationRefused as refused:
            self.end(refused.code, refused.message)
            return
        if self._withdrawn:
            self._registrar.leave(self)
            return
        # It may have registered again meanwhile: the newest registration counts.
        self._confirm(self.claimed or member)

    def _confirm(self, member: Member) -> None:
        self.member = replace(member, condition=self._condition)
        self._outbox.put(work.Registered(self.member.id, self.member.max_work))

    def _update(self, condition: MemberCondition) -> None:
        self._condition = condition
        if self.member is not None:
            self.member = replace(self.member, condition=condition)
            self._registrar.state_changed(self)


def member_from(frame: work.Register, before: MemberCondition, replica: str) -> Member:
    """The member that the device offers to be, by its own unproven words; its id is still empty.
    Runs of white space become one space, since descriptions become lines of lists."""
    return Member(
        id="",
        instance=frame.instance,
        description=_one_line(frame.description),
        models=[
            DeviceModel(
                name=_one_line(model.name),
                family=_one_line(model.family),
                parameters=model.parameters,
                tokenizer=model.tokenizer,
            )
            for model in frame.models
        ],
        abilities=frozenset(frame.abilities),
        tags=frozenset(frame.tags),
        owner=frame.owner,
        privacy=frame.privacy,
        max_work=frame.max_work,
        condition=condition_from(frame.condition, before),
        replica=replica,
    )


def condition_from(frame: work.Condition, before: MemberCondition) -> MemberCondition:
    """The link's measurements come with pings, and stay as they were `before`."""
    return MemberCondition(
        battery=frame.battery,
        hot=frame.hot,
        working=frame.working,
        round_trip_s=before.round_trip_s,
        bytes_per_s=before.bytes_per_s,
    )


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
