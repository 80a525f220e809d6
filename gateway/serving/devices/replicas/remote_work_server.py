"""Work that other replicas ask for: the side that has the device's connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from gateway.core.devices.member import MemberFailed, WorkPiece
from gateway.core.ports import Clock
from gateway.serving.devices.replicas.messages import (
    RemoteOrder,
    StillWanted,
    StillWorking,
    ToOwner,
    WorkEnded,
    WorkFailed,
    WorkRecalled,
    WorkText,
    replies_channel,
)
from gateway.serving.devices.replicas.outbox import ReplicaOutbox
from gateway.serving.devices.replicas.remote_work import SILENT_S
from gateway.serving.devices.work_answer import WorkAnswer


@dataclass(slots=True, kw_only=True)
class _Doing:
    answer: WorkAnswer
    asker: str
    task: asyncio.Task[None]
    heard: float


class RemoteWorkServer:
    """`assign` gives an order to a device that is connected here."""

    def __init__(
        self,
        *,
        replica: str,
        replica_outbox: ReplicaOutbox,
        clock: Clock,
        assign: Callable[[RemoteOrder], WorkAnswer],
    ) -> None:
        self._replica = replica
        self._replica_outbox = replica_outbox
        self._clock = clock
        self._assign = assign
        self._doing: dict[str, _Doing] = {}

    def take(self, message: ToOwner) -> None:
        if isinstance(message, RemoteOrder):
            if message.id not in self._doing:
                self._begin(message)
        elif isinstance(message, WorkRecalled):
            if (doing := self._doing.get(message.id)) is not None:
                doing.answer.cancel()
        elif isinstance(message, StillWanted):
            for id in message.ids:
                doing = self._doing.get(id)
                if doing is not None and doing.asker == message.asker:
                    doing.heard = self._clock.now()

    def beat(self) -> None:
        """Every BEAT_S: recall what nobody wants any more, and tell what is worked on."""
        now, working = self._clock.now(), dict[str, list[str]]()
        for id, doing in list(self._doing.items()):
            if now - doing.heard > SILENT_S:
                doing.answer.cancel()
            else:
                working.setdefault(doing.asker, []).append(id)
        for asker, ids in working.items():
            self._replica_outbox.put(replies_channel(asker), StillWorking(self._replica, ids))

    def close(self) -> list[asyncio.Task[None]]:
        """The tasks under way; the caller must await them."""
        for doing in self._doing.values():
            doing.answer.cancel()
        return [doing.task for doing in self._doing.values()]

    def _begin(self, order: RemoteOrder) -> None:
        answer = self._assign(order)
        task = asyncio.create_task(self._relay(order, answer))
        self._doing[order.id] = _Doing(
            answer=answer, asker=order.asker, task=task, heard=self._clock.now()
        )
        task.add_done_callback(lambda _: self._doing.pop(order.id, None))

    async def _relay(self, order: RemoteOrder, answer: WorkAnswer) -> None:
        channel, n = replies_channel(order.asker), 0
        try:
            while isinstance(said := await answer.read(), WorkPiece):
                self._replica_outbox.put(channel, WorkText(order.id, n, said.text, said.tokens))
                n += 1
            self._replica_outbox.put(channel, WorkEnded(order.id, n, said))
        except MemberFailed as failure:
            code = failure.code or "lost"
            self._replica_outbox.put(
                channel, WorkFailed(order.id, n, code, failure.message, failure.retry_s)
            )
