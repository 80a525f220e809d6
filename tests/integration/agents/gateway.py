"""The whole gateway in the test's own event loop, so that work can be given where it is given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
import yaml

from gateway.api.fast_path import FastPath
from gateway.core.devices.member import Member, MemberCondition, WorkEnd, WorkOrder, WorkPiece
from gateway.settings import Settings
from gateway.wiring.devices import DeviceParts
from gateway.wiring.parts import build_parts, plan_parts
from gateway.wiring.web import fastapi_app, inference_routes
from tests.integration.agent import QUICK_AGENT, digest, start_agent
from tests.integration.device import TOKEN
from tests.servers import Server, free_port

PATIENCE_S = 30.0
ADMIN = "the-token-of-the-operator"


@dataclass
class Answer:
    """What came of one piece of work; a MemberFailed is raised by `RealGateway.answer`."""

    pieces: list[WorkPiece] = field(default_factory=list)
    end: WorkEnd | None = None

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)


@dataclass
class RealGateway:
    url: str
    devices: DeviceParts
    folder: Path
    agents: list[Server] = field(default_factory=list)

    async def agent(self, *flags: str, token: str = TOKEN) -> Server:
        start = partial(start_agent, token=token, program=QUICK_AGENT)
        agent = await asyncio.to_thread(start, self.url, self.folder, *flags)
        self.agents.append(agent)
        return agent

    def member(self, device: str = "phone") -> Member | None:
        return next((each for each in self.devices.members.members() if each.id == device), None)

    def condition(self) -> MemberCondition:
        """Of the phone, which must be registered."""
        member = self.member()
        assert member is not None
        return member.condition

    async def registered(self, device: str = "phone") -> Member:
        await soon(lambda: self.member(device) is not None, f"{device} is registered")
        member = self.member(device)
        assert member is not None
        return member

    async def answer(self, order: WorkOrder, device: str = "phone") -> Answer:
        """Raises MemberFailed."""
        assignment, answer = self.devices.members.assign(device, order), Answer()
        async with asyncio.timeout(PATIENCE_S):
            while True:
                item = await assignment.read()
                if isinstance(item, WorkEnd):
                    answer.end = item
                    return answer
                answer.pieces.append(item)


async def soon(look: Callable[[], object], what: str, seconds: float = PATIENCE_S) -> None:
    """Until it is true, as `eventually`, in an event loop. Raises AssertionError."""
    try:
        async with asyncio.timeout(seconds):
            while not look():
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"not within {seconds:g} s: {what}") from None


@asynccontextmanager
async def real_gateway(folder: Path, **devices: Any) -> AsyncIterator[RealGateway]:
    """Its pool has no engine: nothing here asks one."""
    tokens = {"phone": digest(TOKEN), "watch": digest("token-of-the-watch")}
    edge = {"tier": "edge", "endpoints": [f"http://127.0.0.1:{free_port()}"]}
    wanted = {
        "pools": {"edge": edge},
        "devices": {"tokens": tokens, **devices},
        "admin": {"token": ADMIN},
    }
    file = folder / "gateway.yaml"
    file.write_text(yaml.safe_dump(wanted))
    settings = Settings.load(file)
    port = free_port()
    async with AsyncExitStack() as stack:
        parts = await build_parts(stack, settings, await plan_parts(settings))
        app = FastPath(inference_routes(settings, parts), fastapi_app(settings, parts))
        config = uvicorn.Config(app, port=port, log_level="warning", ws="websockets-sansio")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        await soon(lambda: server.started, "the gateway serves")
        here = RealGateway(f"http://127.0.0.1:{port}", parts.devices, folder)
        try:
            yield here
        finally:
            for agent in here.agents:
                await asyncio.to_thread(agent.stop)
            server.should_exit = True
            await asyncio.wait_for(serving, PATIENCE_S)
