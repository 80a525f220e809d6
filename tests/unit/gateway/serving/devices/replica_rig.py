"""Replicas of the gateway's registry that share one store, and devices on links in memory."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from gateway.adapters.clock import MonotonicClock
from gateway.adapters.state.memory import MemoryStore
from gateway.core.access.key import token_digest
from gateway.core.devices.grant import Grant
from gateway.core.devices.member import MemberFailed, WorkEnd, WorkOrder
from gateway.core.ports import Assignment, StateStore
from gateway.core.state.operations import Operation
from gateway.errors import StateLost
from gateway.protocol.device_link import speculation as wire
from gateway.protocol.device_link import work
from gateway.wiring.devices import DeviceTelemetries, build_devices
from tests.unit.gateway.build import BOUNDS
from tests.unit.gateway.fakes import MemberRecorder
from tests.unit.gateway.rig import SharedRig
from tests.unit.gateway.serving.devices.device_rig import FakeLink, SpeculationRecorder, until

QUESTION = [{"role": "user", "content": "3 + 4?"}]


class FaultyStore:
    """A store that can be lost, or refuse a call, and that can lose what is published, or a run.

    `ran` are the operations that it was given. `tears` is asked at each run: "request" and "answer"
    are what may be lost of it. `meanwhile` is what others do before it.
    """

    def __init__(self, inner: StateStore) -> None:
        self._inner = inner
        self.lost = False
        self.refuses: Callable[[Sequence[Operation]], bool] = lambda operations: False
        self.ran: list[Operation] = []
        self.loses: Callable[[str], bool] = lambda channel: False
        self.tears: Callable[[tuple[Operation, ...]], str] = lambda operations: ""
        self.meanwhile: Callable[[tuple[Operation, ...]], Awaitable[None]] | None = None
        self.published: Counter[str] = Counter()

    def problem(self) -> str | None:
        return "torn" if self.lost else None

    async def run(self, *operations: Operation) -> list[Any]:
        self._check(self.refuses(operations))
        self.ran += operations
        if self.meanwhile is not None:
            await self.meanwhile(operations)
        torn = self.tears(operations)
        self._check(torn == "request")
        results = await self._inner.run(*operations)
        self._check(torn == "answer")
        return results

    async def publish(self, channel: str, message: bytes) -> None:
        self._check()
        self.published[channel] += 1
        if not self.loses(channel):
            await self._inner.publish(channel, message)

    async def listen(self, channel: str, take: Callable[[bytes], None]) -> Callable[[], None]:
        self._check()
        return await self._inner.listen(channel, take)

    def _check(self, refused: bool = False) -> None:
        if self.lost or refused:
            raise StateLost("torn", retry_after=1.0, code="state_lost")


class Replica:
    """One gateway's devices. `die` stops it without a word to anybody."""

    def __init__(self, store: MemoryStore, limits: Mapping[str, Any], lease_s: float) -> None:
        self.store = FaultyStore(store)
        self.telemetry, self.sessions = MemberRecorder(), SpeculationRecorder()
        rig = SharedRig(
            states=[],
            clock=MonotonicClock(),
            wall=lambda: 1e9,
            new_id=lambda: secrets.token_hex(8),
            devices={
                "lease_s": lease_s,
                "heartbeat_s": lease_s / 3,
                "tokens": {"kitchen": token_digest("of-the-kitchen")},
                **limits,
            },
        )
        parts = build_devices(
            rig.settings,
            shared=rig.shared,
            store=self.store,
            telemetries=DeviceTelemetries(
                devices=self.sessions, members=self.telemetry, sessions=self.sessions
            ),
        )
        self.connections, self.members, self.bus = parts.connections, parts.members, parts.bus
        self.leases, self.replica_outbox = parts.leases, parts.replica_outbox
        self.tokens, self.watch = parts.tokens, parts.token_watch
        self.enrolments, self.admin = parts.enrolments, parts.admin
        self._tasks: list[asyncio.Task[None]] = []

    def connect(self, link: FakeLink, grant: Grant) -> asyncio.Task[None]:
        task = asyncio.create_task(self.connections.serve(link, grant))
        self._tasks.append(task)
        return task

    def names(self) -> set[str]:
        return {member.id for member in self.members.members()}

    def die(self) -> None:
        self.store.lost = True

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.bus.stop()


@asynccontextmanager
async def replicas(
    count: int,
    *,
    limits: Mapping[str, Any] | None = None,
    lease_s: float = 15.0,
    started: bool = True,
) -> AsyncIterator[list[Replica]]:
    """Unless `started`, they hear nothing of each other but by the turns that a test makes."""
    store = MemoryStore(MonotonicClock(), BOUNDS)
    made = [Replica(store, limits or {}, lease_s) for _ in range(count)]
    for replica in made if started else []:
        replica.bus.start()
    try:
        yield made
    finally:
        for replica in made:
            await replica.stop()


def registration(instance: str = "instance-1", **fields: Any) -> work.Register:
    given: dict[str, Any] = {
        "description": "knows sums",
        "models": [work.Model(name="rill-device")],
        "abilities": ["generate", "revise"],
        "max_work": 2,
    }
    return work.Register(instance=instance, **(given | fields))


class FakeDevice:
    """A device on a link in memory; it does nothing by itself."""

    def __init__(self, link: FakeLink, task: asyncio.Task[None]) -> None:
        self.link = link
        self.task = task

    def put(self, *frames: wire.FromDevice) -> None:
        self.link.put(*frames)

    def works(self) -> list[work.Work]:
        return self.link.of(work.Work)

    def recalled(self) -> list[int]:
        return [frame.w for frame in self.link.of(work.Recall)]

    def errors(self) -> list[str]:
        return [frame.code for frame in self.link.of(wire.Error)]

    async def work(self, count: int = 1) -> work.Work:
        """The latest of `count` works, when they have come."""
        await until(lambda: len(self.works()) >= count)
        return self.works()[count - 1]

    async def leave(self) -> None:
        self.link.leave()
        await self.task


async def device(
    replica: Replica, register: work.Register | None = None, grant: Grant | None = None
) -> FakeDevice:
    """One that has registered, with the answer to it."""
    found = newcomer(replica, register, grant)
    await until(lambda: found.link.of(work.Registered) or found.task.done())
    return found


def newcomer(
    replica: Replica, register: work.Register | None = None, grant: Grant | None = None
) -> FakeDevice:
    link = FakeLink(wire.Hello(wire.VERSION), register or registration())
    return FakeDevice(link, replica.connect(link, grant or Grant(device="phone")))


def order(**fields: Any) -> WorkOrder:
    given: dict[str, Any] = {
        "kind": "generate",
        "messages": QUESTION,
        "max_tokens": 64,
        "deadline_s": 20.0,
    }
    return WorkOrder(**(given | fields))


async def whole(assignment: Assignment) -> tuple[str, WorkEnd]:
    """The answer to its end. Raises MemberFailed."""
    text = ""
    async with asyncio.timeout(20):
        while not isinstance(piece := await assignment.read(), WorkEnd):
            text += piece.text
    return text, piece


async def failure(assignment: Assignment) -> str:
    """The code of the failure that it must come to."""
    try:
        await whole(assignment)
    except MemberFailed as failed:
        return str(failed.code)
    raise AssertionError("it came to a good end")
