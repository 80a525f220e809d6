"""Stand-ins for a device's link and for verifiers, scripted by the test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from gateway.core.admission import AdmissionLimits
from gateway.core.devices.grant import Grant
from gateway.core.devices.member import Member
from gateway.core.ports import Clock
from gateway.core.retry import RetryBudget
from gateway.core.speculation.job import Batch, DraftFacts, DraftRun, Job
from gateway.core.speculation.outcome import SessionOutcome
from gateway.core.speculation.session import Step
from gateway.core.types import Endpoint, EndpointState
from gateway.errors import ConnectFailed
from gateway.protocol import speculation as wire
from gateway.serving.devices.connections import DeviceConnections
from gateway.serving.devices.drafting.session import DraftingDeps
from gateway.serving.devices.frames import DeviceLimits
from gateway.serving.devices.registration import Membership
from gateway.serving.requests.admission import Admission
from gateway.serving.requests.progress_timeout import AnswerTimeouts
from gateway.serving.requests.verifiers import VerifierEndpoints
from tests.unit.gateway.build import routing
from tests.unit.gateway.fakes import FakeEndpoints, Recorder, SteppingClock

F = TypeVar("F")
Piece = Batch | Exception | None
"""A batch to give, an error to raise, or None: say nothing more, ever."""

Scripts = Mapping[str, Callable[[], Sequence[Piece]]]
"""What the endpoint of this id answers, made anew for each attempt."""


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


class FakeVerification:
    def __init__(self, pieces: Sequence[Piece], takes_drafts: bool) -> None:
        self._pieces = list(pieces)
        self._takes_drafts = takes_drafts
        self.usage: tuple[int, int] | None = None
        self.drafts: list[tuple[int, list[int], list[int]]] = []
        self.closed = False

    def draft(self, runs: Sequence[DraftRun]) -> bool:
        if self._takes_drafts:
            self.drafts += [(p, list(ids), list(before)) for p, ids, before in runs]
        return self._takes_drafts

    async def read(self) -> Batch | None:
        await asyncio.sleep(0)
        if not self._pieces:
            return None
        piece = self._pieces.pop(0)
        if piece is None:
            await asyncio.Event().wait()
        if isinstance(piece, Exception):
            raise piece
        return piece

    def close(self) -> None:
        self.closed = True


class FakeVerifier:
    """Answers by endpoint id; an endpoint without a script can't be reached.

    While `accepting` is cleared, engines take their time to accept a job.
    """

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts
        self.jobs: list[Job] = []
        self.made: list[FakeVerification] = []
        self.takes_drafts = True
        self.accepting = asyncio.Event()
        self.accepting.set()

    def facts(self, endpoint: Endpoint) -> DraftFacts:
        return DraftFacts(8, 100)

    async def tokenize(
        self, endpoint: Endpoint, model: str, messages: Sequence[Mapping[str, Any]]
    ) -> list[int]:
        return [ord(letter) for message in messages for letter in message["content"]]

    async def open(self, endpoint: Endpoint, job: Job) -> FakeVerification:
        self.jobs.append(job)
        await self.accepting.wait()
        if endpoint.id not in self._scripts:
            raise ConnectFailed("no", endpoint=endpoint.id, code="connect_failed")
        self.made.append(FakeVerification(self._scripts[endpoint.id](), self.takes_drafts))
        return self.made[-1]


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

    def began(self, tier: str) -> None: ...

    def drafts(self, tier: str, fate: str, tokens: int) -> None:
        self.fates.append((tier, fate, tokens))

    def step(self, tier: str, step: Step) -> None: ...

    def ended(self, tier: str, outcome: SessionOutcome) -> None:
        self.outcomes.append(outcome)


class FakeRegistrar:
    """A registrar that admits every device, and knows of none."""

    replica = "here"

    async def join(self, membership: Membership, member: Member) -> None: ...

    def leave(self, membership: Membership) -> None: ...

    def state_changed(self, membership: Membership) -> None: ...

    def name_is_free(self, membership: Membership) -> bool:
        return True

    def work_refused(self, code: str) -> None: ...

    def registration_refused(self, code: str) -> None: ...


class DeviceRig:
    """`DeviceConnections` on fakes, with endpoints whose tokenizer is `f`."""

    def __init__(
        self,
        states: Sequence[EndpointState],
        scripts: Scripts,
        *,
        timeouts: AnswerTimeouts | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.states = states
        for state in states:
            state.tokenizer = state.tokenizer or "f"
        self.verifier = FakeVerifier(scripts)
        self.endpoints = FakeEndpoints(states)
        self.telemetry = SpeculationRecorder()
        self.requests = Recorder()
        clock = clock or SteppingClock()
        verifiers = VerifierEndpoints(
            routing=routing(),
            endpoints=self.endpoints,
            verifier=self.verifier,
            clock=clock,
            telemetry=self.requests,
            budget=RetryBudget(),
            uniform=lambda: 0.0,
        )
        drafting = DraftingDeps(
            verifiers=verifiers,
            admission=Admission(AdmissionLimits(), clock, self.requests),
            telemetry=self.telemetry,
            clock=clock,
            timeouts=timeouts or AnswerTimeouts(30.0, 30.0, 30.0),
            new_id=lambda: "0" * 32,
        )
        self.verifiers = verifiers
        self.registrar = FakeRegistrar()
        self.devices = DeviceConnections(
            limits=DeviceLimits(),
            drafting=drafting,
            telemetry=self.telemetry,
            registrar=self.registrar,
        )

    def connect(self, link: FakeLink, device: str = "phone") -> asyncio.Task[None]:
        return asyncio.create_task(self.devices.serve(link, Grant(device=device)))

    def assert_nothing_left_open(self) -> None:
        assert [state.in_flight for state in self.states] == [0] * len(self.states)
        assert all(made.closed for made in self.verifier.made)
        assert self.requests.loads[-1] == (0, 0)
        assert self.telemetry.devices[-1] == 0


async def until(look: Callable[[], object]) -> None:
    """Let the others run until it holds."""
    async with asyncio.timeout(10):
        while not look():
            await asyncio.sleep(0)


def opening(s: int = 1, **fields: Any) -> wire.Open:
    given: dict[str, Any] = {"tier": "edge", "tokenizer": "f", "prompt": [1, 2, 3]}
    return wire.Open(s=s, **(given | fields))
