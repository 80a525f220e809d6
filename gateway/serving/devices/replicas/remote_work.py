"""Work at devices of other replicas: the side that asks, and the side that has the connection.

    asker: RemoteWork                                   owner: RemoteWorkServer
      RemoteOrder {id, device, instance, order} ---->     assigns it to the device's connection
                                                <----   WorkText {id, n: 0}, WorkText {id, n: 1} ...
                                                <----   WorkEnded or WorkFailed {id, n: last}
      WorkRecalled {id}                         ---->     cancels: the caller has left
      AskerHeartbeat {ids}                      ---->     every BEAT_S, to each owner
                                                <----   OwnerHeartbeat {ids}, every BEAT_S

Channels of the store deliver in order and at most once, so each side watches for what is lost:

- **Order**: the messages of one answer are numbered from 0. At a gap the asker fails the answer as
  `lost` and recalls the work; text is never given out of order or with a part missing.
- **Heartbeats**: a side that hears nothing of some work for SILENT_S takes the other for gone. The
  asker fails the answer, the owner cancels the work at the device. To the asker each piece of the
  answer counts as a heartbeat, too.
- **Deadline**: the owner's connection enforces it. The asker waits UNDER_WAY_S longer, so that the
  owner's word comes first. It counts from the arrival of the order: clocks are never compared.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from gateway.core.devices.member import Member, MemberFailed, WorkOrder, WorkPiece
from gateway.core.ports import Clock
from gateway.serving.devices.replicas.messages import (
    AskerHeartbeat,
    OwnerHeartbeat,
    RemoteOrder,
    ToAsker,
    ToOwner,
    WorkEnded,
    WorkFailed,
    WorkRecalled,
    WorkText,
    replies_channel,
    work_channel,
)
from gateway.serving.devices.replicas.outbox import ReplicaOutbox
from gateway.serving.devices.work import Unfit, as_text, check, work_frame
from gateway.serving.devices.work_answer import WorkAnswer, failed

BEAT_S = 0.5
SILENT_S = 2.0
"""Without a word about some work, the other side of it is gone: four heartbeats."""
UNDER_WAY_S = 1.0
"""Beyond the deadline, which the replica with the connection is the first to enforce."""


@dataclass(slots=True, kw_only=True)
class _Requested:
    """Work that another replica does for this one. `next`: the number of its next message."""

    answer: WorkAnswer
    replica: str
    device: str
    heard_at: float
    next: int = 0


class RemoteWork:
    """The asking side: work of this replica at devices of other replicas, by a random id.

    `new_id` gives what nobody can guess.
    """

    def __init__(
        self,
        *,
        replica: str,
        replica_outbox: ReplicaOutbox,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._replica = replica
        self._replica_outbox = replica_outbox
        self._clock = clock
        self._new_id = new_id
        self._requested: dict[str, _Requested] = {}
        self._by_device: Counter[str] = Counter()

    def assign(self, member: Member, order: WorkOrder) -> WorkAnswer:
        """Send the order to the replica of the device. Work that the device would refuse fails at
        once, and is not sent."""
        try:
            check(member, order, self._by_device[member.id])
            order = as_text(order)
            work_frame(1, order, order.deadline_s)
        except Unfit as unfit:
            return failed(member.id, unfit.code, f"{member.id} {unfit.message}")
        id, answer = self._new_id(), WorkAnswer(member.id, order.deadline_s + UNDER_WAY_S)
        self._requested[id] = _Requested(
            answer=answer, replica=member.replica, device=member.id, heard_at=self._clock.now()
        )
        self._by_device[member.id] += 1
        message = RemoteOrder(
            id=id, asker=self._replica, device=member.id, instance=member.instance, order=order
        )
        if not self._replica_outbox.put(work_channel(member.replica), message):
            answer.fail("busy", f"too much waits on the way to {member.id} already")
        answer.when_over(lambda _: self._recall(id))
        return answer

    def receive(self, message: ToAsker) -> None:
        if isinstance(message, OwnerHeartbeat):
            for id in message.ids:
                if (requested := self._requested.get(id)) is not None:
                    requested.heard_at = self._clock.now()
        elif (requested := self._requested.get(message.id)) is not None:
            requested.heard_at = self._clock.now()
            self._record(requested, message)

    def beat(self) -> None:
        """Every BEAT_S: give up what nobody works on, and tell the owners what is still wanted."""
        now, ids_of = self._clock.now(), dict[str, list[str]]()
        for id, requested in list(self._requested.items()):
            if now - requested.heard_at > SILENT_S:
                requested.answer.fail("lost", f"nothing is heard of {requested.device} any more")
            else:
                ids_of.setdefault(requested.replica, []).append(id)
        for replica, ids in ids_of.items():
            self._replica_outbox.put(work_channel(replica), AskerHeartbeat(self._replica, ids))

    def _record(self, requested: _Requested, message: WorkText | WorkEnded | WorkFailed) -> None:
        answer = requested.answer
        if message.n != requested.next:
            answer.fail("lost", f"a part of the answer of {requested.device} was lost")
            return
        requested.next += 1
        if isinstance(message, WorkText):
            answer.add_piece(message.text, message.tokens)
            return
        self._forget(message.id)
        if isinstance(message, WorkEnded):
            answer.finish(message.end)
        else:
            answer.fail(message.code, message.message, message.retry_s)

    def _recall(self, id: str) -> None:
        """Unless it was the other replica that ended it."""
        if (requested := self._forget(id)) is not None:
            self._replica_outbox.put(work_channel(requested.replica), WorkRecalled(id))

    def _forget(self, id: str) -> _Requested | None:
        requested = self._requested.pop(id, None)
        if requested is not None:
            self._by_device -= Counter([requested.device])
        return requested


@dataclass(slots=True, kw_only=True)
class _Serving:
    """Work that a device of this replica does for another one. `task` relays the answer."""

    answer: WorkAnswer
    asker: str
    task: asyncio.Task[None]
    heard_at: float


class RemoteWorkServer:
    """The owning side: work that other replicas ask for, at devices that are connected here.

    `assign` gives an order to such a device.
    """

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
        self._serving: dict[str, _Serving] = {}

    def receive(self, message: ToOwner) -> None:
        if isinstance(message, RemoteOrder):
            if message.id not in self._serving:
                self._begin(message)
        elif isinstance(message, WorkRecalled):
            if (serving := self._serving.get(message.id)) is not None:
                serving.answer.cancel()
        else:
            for id in message.ids:
                serving = self._serving.get(id)
                if serving is not None and serving.asker == message.asker:
                    serving.heard_at = self._clock.now()

    def beat(self) -> None:
        """Every BEAT_S: cancel what nobody wants any more, and tell askers what is under way."""
        now, working = self._clock.now(), dict[str, list[str]]()
        for id, serving in list(self._serving.items()):
            if now - serving.heard_at > SILENT_S:
                serving.answer.cancel()
            else:
                working.setdefault(serving.asker, []).append(id)
        for asker, ids in working.items():
            self._replica_outbox.put(replies_channel(asker), OwnerHeartbeat(self._replica, ids))

    def close(self) -> list[asyncio.Task[None]]:
        """Cancel everything. Gives the tasks under way, which the caller must await."""
        for serving in self._serving.values():
            serving.answer.cancel()
        return [serving.task for serving in self._serving.values()]

    def _begin(self, order: RemoteOrder) -> None:
        answer = self._assign(order)
        task = asyncio.create_task(self._relay(order, answer))
        self._serving[order.id] = _Serving(
            answer=answer, asker=order.asker, task=task, heard_at=self._clock.now()
        )
        task.add_done_callback(lambda _: self._serving.pop(order.id, None))

    async def _relay(self, order: RemoteOrder, answer: WorkAnswer) -> None:
        channel, n = replies_channel(order.asker), 0
        put = self._replica_outbox.put
        try:
            while isinstance(piece := await answer.read(), WorkPiece):
                put(channel, WorkText(id=order.id, n=n, text=piece.text, tokens=piece.tokens))
                n += 1
            put(channel, WorkEnded(order.id, n, piece))
        except MemberFailed as failure:
            put(
                channel,
                WorkFailed(
                    id=order.id,
                    n=n,
                    code=failure.code or "lost",
                    message=failure.message,
                    retry_s=failure.retry_s,
                ),
            )
