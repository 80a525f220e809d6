"""One connection's side of being a member: its registration, its state, its work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from gateway.core.devices.grant import Grant, RegistrationRefused, admit
from gateway.core.devices.member import Member, MemberCondition, WorkOrder
from gateway.core.token_bucket import TokenBucket
from gateway.protocol import work
from gateway.serving.devices.outbox import Outbox
from gateway.serving.devices.registration import condition, member_from
from gateway.serving.devices.work import ProtocolViolation, WorkLimits, WorkTable
from gateway.serving.devices.work_answer import WorkAnswer, failed

NEWS_AT_ONCE, NEWS_PER_S = 20.0, 2.0
"""Registrations and states: everybody is told of them."""


class Registrar(Protocol):
    """Where members are entered; `MembersRegistry` is one."""

    replica: str

    async def join(self, membership: Membership, member: Member) -> None: ...

    def leave(self, membership: Membership) -> None: ...

    def changed(self, membership: Membership) -> None: ...

    def free(self, membership: Membership) -> bool: ...

    def refused(self, code: str) -> None: ...

    def turned_away(self, code: str) -> None: ...


class Membership:
    """`end(code, message)` closes the connection. `member` is set while the registration stands,
    and `claimed` from the moment that the device has asked for it. `heard`: its last frame, on the
    gateway's clock."""

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
        self.heard = 0.0
        self.table = WorkTable(grant.device, limits, outbox)
        self._limits = limits
        self._registrar = registrar
        self._outbox = outbox
        self._condition = MemberCondition()
        self._joining: asyncio.Task[None] | None = None
        self._news = TokenBucket(burst=NEWS_AT_ONCE, per_s=NEWS_PER_S)

    def may_draft(self) -> bool:
        """Not while somebody else is registered under this device's name."""
        return self.claimed is not None or self._registrar.free(self)

    def assign(self, order: WorkOrder) -> WorkAnswer:
        if self.member is None:
            return failed(self.grant.device, "unknown", f"{self.grant.device} is not registered")
        return self.table.assign(self.member, order)

    def take(self, frame: work.FromDevice, size: int, now: float) -> None:
        """Raises Lie, and RegistrationRefused when the connection must end."""
        if isinstance(frame, work.Register | work.State) and not self._news.spend(1.0, now):
            raise ProtocolViolation(
                "flood", f"more than {NEWS_PER_S:g} registrations or states a second"
            )
        if isinstance(frame, work.Register):
            self._register(frame)
        elif self.claimed is None:
            raise ProtocolViolation(
                "not_registered", "register: send it before work can be spoken of"
            )
        elif isinstance(frame, work.State):
            self._now(condition(frame.condition, self._condition))
        elif isinstance(frame, work.Piece):
            self.table.piece(frame, size)
        elif isinstance(frame, work.Finished):
            self.table.finish(frame, size)
        else:
            self.table.refuse(frame, size)
            self._registrar.refused(frame.code)

    def link(self, round_trip_s: float, bytes_per_s: float) -> None:
        """As the device measured it. Nobody is told at once: pings are many."""
        self._condition = replace(
            self._condition, round_trip_s=round_trip_s, bytes_per_s=bytes_per_s
        )
        if self.member is not None:
            self.member = replace(self.member, condition=self._condition)

    def leave(self) -> list[asyncio.Task[None]]:
        """The connection is over. Gives tasks that the caller must cancel."""
        self._registrar.leave(self)
        self.member = None
        self.table.lose(f"the connection of {self.grant.device} is gone")
        return [] if self._joining is None else [self._joining]

    def _register(self, frame: work.Register) -> None:
        member = member_from(frame, self._condition, self._registrar.replica)
        if self.claimed is not None and self.claimed.instance != member.instance:
            raise ProtocolViolation(
                "instance_changed", "instance: it stays the same on one connection"
            )
        try:
            member = admit(self.grant, member, self._limits.max_work)
        except RegistrationRefused as refused:
            self._registrar.turned_away(refused.code)
            raise
        self._condition = member.condition
        if self.claimed is None:
            self.claimed = member
            self._joining = asyncio.create_task(self._join())
            return
        self.claimed = member
        if self.member is not None:
            self._stand()
            self._registrar.changed(self)

    async def _join(self) -> None:
        assert self.claimed is not None
        try:
            await self._registrar.join(self, self.claimed)
        except RegistrationRefused as refused:
            self.end(refused.code, refused.message)
            return
        self._stand()

    def _stand(self) -> None:
        assert self.claimed is not None
        self.member = replace(self.claimed, condition=self._condition)
        self._outbox.put(work.Registered(self.member.id, self.member.max_work))

    def _now(self, said: MemberCondition) -> None:
        self._condition = said
        if self.member is not None:
            self.member = replace(self.member, condition=said)
            self._registrar.changed(self)
