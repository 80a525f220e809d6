"""Work for devices that are connected to other replicas: the side that asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from gateway.core.devices.member import Member, WorkOrder
from gateway.core.ports import Clock
from gateway.serving.devices.replicas.messages import (
    RemoteOrder,
    StillWanted,
    StillWorking,
    ToAsker,
    WorkEnded,
    WorkFailed,
    WorkRecalled,
    WorkText,
    work_channel,
)
from gateway.serving.devices.replicas.outbox import ReplicaOutbox
from gateway.serving.devices.work_answer import WorkAnswer, failed
from gateway.serving.devices.work_orders import Unfit, check, in_words, put_into_frame

BEAT_S = 0.5
SILENT_S = 2.0
"""Without a word about some work, the other side of it is gone: four heartbeats."""
UNDER_WAY_S = 1.0
"""Beyond the deadline, which the replica with the connection is the first to enforce."""


@dataclass(slots=True, kw_only=True)
class _Asked:
    answer: WorkAnswer
    replica: str
    device: str
    heard: float
    next: int = 0


class RemoteWork:
    """`new_id` gives what nobody can guess."""

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
        self._asked: dict[str, _Asked] = {}
        self._by_device: Counter[str] = Counter()

    def assign(self, member: Member, order: WorkOrder) -> WorkAnswer:
        """What the device would not do comes to nothing at once, and is not sent."""
        try:
            check(member, order, self._by_device[member.id])
            order = in_words(order)
            put_into_frame(1, order, order.deadline_s)
        except Unfit as unfit:
            return failed(member.id, unfit.code, f"{member.id} {unfit.message}")
        id, channel = self._new_id(), work_channel(member.replica)
        answer = WorkAnswer(member.id, order.deadline_s + UNDER_WAY_S)
        self._asked[id] = _Asked(
            answer=answer, replica=member.replica, device=member.id, heard=self._clock.now()
        )
        self._by_device[member.id] += 1
        said = RemoteOrder(id, self._replica, member.id, member.instance, order)
        if not self._replica_outbox.put(channel, said):
            answer.fail("busy", f"too much waits on the way to {member.id} already")
        answer.when_over(lambda _: self._over(id))
        return answer

    def take(self, message: ToAsker) -> None:
        if isinstance(message, StillWorking):
            for id in message.ids:
                if (asked := self._asked.get(id)) is not None:
                    asked.heard = self._clock.now()
            return
        if (asked := self._asked.get(message.id)) is None:
            return
        asked.heard = self._clock.now()
        if message.n != asked.next:
            asked.answer.fail("lost", f"a part of the answer of {asked.device} was lost")
            return
        asked.next += 1
        if isinstance(message, WorkText):
            asked.answer.piece(message.text, message.tokens)
            return
        del self._asked[message.id]
        self._by_device -= Counter([asked.device])
        if isinstance(message, WorkEnded):
            asked.answer.finish(message.end)
        elif isinstance(message, WorkFailed):
            asked.answer.fail(message.code, message.message, message.retry_s)

    def beat(self) -> None:
        """Every BEAT_S: give up what nobody works on, and tell that the rest is still wanted."""
        now, wanted = self._clock.now(), dict[str, list[str]]()
        for id, asked in list(self._asked.items()):
            if now - asked.heard > SILENT_S:
                asked.answer.fail("lost", f"nothing is heard of {asked.device} any more")
            else:
                wanted.setdefault(asked.replica, []).append(id)
        for replica, ids in wanted.items():
            self._replica_outbox.put(work_channel(replica), StillWanted(self._replica, ids))

    def _over(self, id: str) -> None:
        """Unless it was the other replica that ended it."""
        if (asked := self._asked.pop(id, None)) is not None:
            self._by_device -= Counter([asked.device])
            self._replica_outbox.put(work_channel(asked.replica), WorkRecalled(id))
