"""Devices that do their work as a test scripts it, behind the `Members` port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any

from gateway.core.devices.member import (
    DeviceModel,
    Member,
    MemberFailed,
    WorkEnd,
    WorkOrder,
    WorkPiece,
)

Step = str | WorkPiece | WorkEnd
"""A piece of an answer, of five tokens where it is only a text; or the end of it."""

Behaviour = Callable[[WorkOrder], AsyncGenerator[Step]]
"""What a device does with an order: it yields the steps of its answer, waits, or raises.
An answer whose end is not given has a good one."""

Script = str | Behaviour
"""An answer in one piece, or a behaviour."""


def failing(code: str, *pieces: str) -> Behaviour:
    """Fails after these pieces."""

    async def behaviour(order: WorkOrder) -> AsyncGenerator[str]:
        for piece in pieces:
            yield piece
        raise MemberFailed(device="", code=code, message="no")

    return behaviour


def waiting(event: asyncio.Event | None = None, *pieces: str) -> Behaviour:
    """Waits for the event (None: for ever) after these pieces, and then answers late."""

    async def behaviour(order: WorkOrder) -> AsyncGenerator[str]:
        for piece in pieces:
            yield piece
        await (event or asyncio.Event()).wait()
        yield "Answer: late"

    return behaviour


def steps(*steps: WorkPiece | WorkEnd | MemberFailed) -> Behaviour:
    """These, one after the other."""

    async def behaviour(order: WorkOrder) -> AsyncGenerator[Step]:
        for step in steps:
            if isinstance(step, MemberFailed):
                raise step
            yield step

    return behaviour


def member(id: str, **fields: Any) -> Member:
    given: dict[str, Any] = {
        "instance": f"instance-{id}",
        "description": f"good at {id}",
        "models": [DeviceModel(name="rill-device", family="rill")],
        "abilities": frozenset({"generate", "revise"}),
        "max_work": 4,
    }
    return Member(id=id, **{**given, **fields})


class FakeMembers:
    """The `Members` port over scripted devices.

    `scripts` by device: one for all its orders, or a list with one for each, of which the last is
    for all further orders. `fields` of the devices' `Member`s by device. A device without a script
    is gone.
    """

    def __init__(
        self, scripts: Mapping[str, Script | Sequence[Script]], **fields: Mapping[str, Any]
    ) -> None:
        self._scripts = {
            id: list(script) if isinstance(script, list) else [script]
            for id, script in scripts.items()
        }
        self.known = [member(id, **fields.get(id, {})) for id in scripts]
        self.orders: list[tuple[str, WorkOrder]] = []
        self.cancelled: list[str] = []

    def members(self) -> Sequence[Member]:
        return self.known

    def assign(self, device: str, order: WorkOrder) -> FakeAssignment:
        self.orders.append((device, order))
        scripts: list[Any] = self._scripts.get(device) or [failing("unknown")]
        script = scripts.pop(0) if len(scripts) > 1 else scripts[0]
        behaviour = in_one_piece(script) if isinstance(script, str) else script
        return FakeAssignment(self, device, behaviour(order))

    def devices(self, kind: str = "generate") -> list[str]:
        """Those that got an order of this kind."""
        return [device for device, order in self.orders if order.kind == kind]


def in_one_piece(answer: str) -> Behaviour:
    async def behaviour(order: WorkOrder) -> AsyncGenerator[str]:
        yield answer

    return behaviour


class FakeAssignment:
    """The `Assignment` port over a behaviour's steps."""

    def __init__(self, members: FakeMembers, device: str, steps: AsyncGenerator[Step]) -> None:
        self._members = members
        self._device = device
        self._steps = steps

    async def read(self) -> WorkPiece | WorkEnd:
        async for step in self._steps:
            return WorkPiece(step, 5) if isinstance(step, str) else step
        return WorkEnd(reason="stop", prompt_tokens=10, completion_tokens=5, logprob=-0.1)

    def cancel(self) -> None:
        self._members.cancelled.append(self._device)
