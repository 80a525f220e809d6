"""The work of a device, on a link that records every frame."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from prometheus_client import generate_latest

from gateway.protocol.device_link import work
from gateway.protocol.requests.sampling import Sampling
from services.device_agent.drafters.port import Drafter
from services.device_agent.drafting_thread import DraftingThread
from services.device_agent.link.connection import LinkLost
from services.device_agent.membership.active_work import ActiveWork
from services.device_agent.membership.device_state import DeviceState
from services.device_agent.membership.profile import MemberProfile
from services.device_agent.membership.sensors import SensorReading
from services.device_agent.metrics import AgentMetrics
from services.device_agent.text import TextModel
from tests.servers import metric_in

SECRET = "What is 12 + 30?"
QUESTION = [{"role": "user", "content": SECRET}]


class ActiveWorkRig:
    """The work of a device, its frames so far, and an event with each new one."""

    def __init__(self, model: TextModel, drafter: Drafter, max_work: int) -> None:
        self.frames: list[Any] = []
        self.news = asyncio.Event()
        self.lost = False
        self.metrics = AgentMetrics()
        self.thread = DraftingThread(drafter)
        self.state = DeviceState(SensorReading, 90.0)
        self.profile = MemberProfile(
            description="", tags=(), model=work.Model(name="rill-device"), max_work=max_work
        )
        self.active_work = ActiveWork(
            profile=self.profile,
            model=model,
            thread=self.thread,
            state=self.state,
            min_battery=0.3,
            metrics=self.metrics,
        )

    async def send(self, frame: work.FromDevice) -> None:
        if self.lost:
            raise LinkLost("gone")
        self.frames.append(frame)
        self.news.set()

    def give(self, w: int, **more: Any) -> None:
        self.active_work.start(work_frame(w, **more), self.send)

    def of(self, w: int, kind: type[Any]) -> list[Any]:
        return [frame for frame in self.frames if isinstance(frame, kind) and frame.w == w]

    async def end(self, w: int) -> Any:
        """The frame that ends this work."""
        async with asyncio.timeout(20):
            while not (found := self.of(w, work.Finished) + self.of(w, work.Refused)):
                self.news.clear()
                await self.news.wait()
        return found[0]

    async def begun(self, w: int) -> None:
        async with asyncio.timeout(20):
            while not self.of(w, work.Piece):
                self.news.clear()
                await self.news.wait()

    async def idle(self) -> None:
        async with asyncio.timeout(20):
            while self.active_work.working:
                await asyncio.sleep(0)

    def text(self, w: int) -> str:
        return "".join(piece.text for piece in self.of(w, work.Piece))

    def counted(self, name: str, **labels: str) -> float:
        page = generate_latest(self.metrics.registry).decode()
        return metric_in(page, f"tierflow_device_{name}", **labels)


@asynccontextmanager
async def active_work_rig(
    model: TextModel, drafter: Drafter, max_work: int = 4
) -> AsyncIterator[ActiveWorkRig]:
    made = ActiveWorkRig(model, drafter, max_work)
    yield made
    for task in made.active_work.drop():
        task.cancel()
    await asyncio.sleep(0)
    made.thread.close()


def work_frame(
    w: int,
    kind: work.Kind = "generate",
    messages: Sequence[dict[str, Any]] = QUESTION,
    deadline_s: float = 60.0,
    id: str = "",
    **sampling: Any,
) -> work.Work:
    return work.Work(
        w=w,
        kind=kind,
        messages=list(messages),
        sampling=Sampling(**{"max_tokens": 60, **sampling}),
        deadline_s=deadline_s,
        id=id,
    )
