"""Devices' connections as they are wired, on fakes: a link in memory, scripted verifiers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from gateway.adapters.state.memory import MemoryStore
from gateway.core.devices.grant import Grant
from gateway.core.ports import Clock
from gateway.core.speculation.outcome import SessionOutcome
from gateway.core.speculation.session import Step
from gateway.core.types import EndpointState
from gateway.protocol.device_link import speculation as wire
from gateway.serving.requests.progress_timeout import AnswerTimeouts
from gateway.wiring.devices import DeviceTelemetries, build_devices
from tests.unit.gateway.build import BOUNDS
from tests.unit.gateway.fakes import MemberRecorder, VerifiedScripts
from tests.unit.gateway.rig import SharedRig

F = TypeVar("F")


class FakeLink:
    """`sent` are the frames that came out. While `open` is cleared, sending waits."""

    def __init__(self, *frames: wire.FromDevice) -> None:
        self._incoming: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.sent: list[wire.FromGateway] = []
        self.open = asyncio.Event()
        self.open.set()
        self.closed: tuple[int, str] | None = None
        self.put(*frames)

    def put(self, *frames: wire.FromDevice) -> None:
        for frame in frames:
            self._incoming.put_nowait(wire.encode(frame))

    def leave(self) -> None:
        self._incoming.put_nowait(None)

    def of(self, kind: type[F]) -> list[F]:
        return [frame for frame in self.sent if isinstance(frame, kind)]

    async def receive(self) -> bytes | None:
        return await self._incoming.get()

    async def send(self, message: bytes) -> None:
        await self.open.wait()
        self.sent.append(wire.decode_from_gateway(message))

    async def close(self, code: int, reason: str) -> None:
        self.closed = code, reason


class SpeculationRecorder:
    """Both telemetry ports for devices; remembers."""

    def __init__(self) -> None:
        self.devices: list[int] = []
        self.codes: list[str] = []
        self.fates: list[tuple[str, str, int]] = []
        self.outcomes: list[SessionOutcome] = []

    def connected(self, devices: int) -> None:
        self.devices.append(devices)

    def traffic(self, up: int, down: int) -> None: ...

    def link(self, round_trip_s: float, bytes_per_s: float) -> None: ...

    def refused(self, code: str) -> None:
        self.codes.append(code)

    def session_started(self, tier: str) -> None: ...

    def drafts(self, tier: str, fate: str, tokens: int) -> None:
        self.fates.append((tier, fate, tokens))

    def step(self, tier: str, step: Step) -> None: ...

    def session_ended(self, tier: str, outcome: SessionOutcome) -> None:
        self.outcomes.append(outcome)


class DeviceRig(SharedRig):
    """A gateway to which devices connect; no other replica is there."""

    def __init__(
        self,
        states: Sequence[EndpointState],
        scripts: VerifiedScripts,
        *,
        timeouts: AnswerTimeouts | None = None,
        timeouts_more: Mapping[str, float] | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(
            states=states,
            verified=scripts,
            timeouts=timeouts,
            timeouts_more=timeouts_more,
            clock=clock,
        )
        self.sessions = SpeculationRecorder()
        self.devices = build_devices(
            self.settings,
            shared=self.shared,
            store=MemoryStore(self.clock, BOUNDS),
            telemetries=DeviceTelemetries(
                devices=self.sessions, members=MemberRecorder(), sessions=self.sessions
            ),
        )

    def connect(self, link: FakeLink, device: str = "phone") -> asyncio.Task[None]:
        connections = self.devices.connections
        return asyncio.create_task(connections.serve(link, Grant(device=device)))

    def assert_nothing_left_open(self) -> None:
        super().assert_nothing_left_open()
        assert self.sessions.devices[-1] == 0


async def until(look: Callable[[], object]) -> None:
    """Let the others run until it holds."""
    async with asyncio.timeout(10):
        while not look():
            await asyncio.sleep(0)


def opening(s: int = 1, **fields: Any) -> wire.Open:
    given: dict[str, Any] = {"tier": "edge", "tokenizer": "f", "prompt": [1, 2, 3]}
    return wire.Open(s=s, **(given | fields))
