"""Stand-ins for the gateway's ports, scripted by the test."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import orjson

from gateway.adapters.endpoints.waiters import EndpointWaiters
from gateway.adapters.state.memory import MemoryStore
from gateway.core.endpoints.outlier_ejection import EjectionRule
from gateway.core.endpoints.usual_waits import UsualWaitRule
from gateway.core.outcome import Outcome
from gateway.core.ports import Clock, LeaveDrafts
from gateway.core.retry import FaultBudgets, RetryBudget
from gateway.core.speculation.chain_report import ChainReport
from gateway.core.speculation.job import Batch, DraftFacts, DraftRun, Job
from gateway.core.state.operations import Operation
from gateway.core.types import Endpoint, EndpointState, PoolState
from gateway.errors import ConnectFailed, EngineFailed, GatewayError, InvalidRequest
from gateway.serving.requests.attempts import Failover
from tests.unit.gateway.build import ejection_rule, retry_budget

Piece = bytes | Exception | None
"""Bytes to give, an error to raise, or None: say nothing more, ever."""


class FakeAnswer:
    def __init__(
        self, pieces: Sequence[Piece], status: int = 200, content_type: str = "text/event-stream"
    ) -> None:
        self.status = status
        self.headers: Mapping[str, str] = {"content-type": content_type}
        self._pieces = list(pieces)
        self.closed = self.drained = False

    async def read(self) -> bytes:
        piece = self._pieces.pop(0) if self._pieces else b""
        if piece is None:
            await asyncio.Event().wait()
        if isinstance(piece, Exception):
            raise piece
        return piece or b""

    def drain(self) -> None:
        self.drained = True

    def close(self) -> None:
        self.closed = True


COMMENT = b": still here\n\n"


class CommentingAnswer(FakeAnswer):
    """Comments for ever, after some pieces."""

    async def read(self) -> bytes:
        await asyncio.sleep(0.001)
        return await super().read() or COMMENT


class FakeServer:
    """Answers by endpoint id; an endpoint without a script can't be reached."""

    def __init__(self, scripts: Mapping[str, Callable[[], FakeAnswer]]) -> None:
        self._scripts = scripts
        self.calls: list[tuple[str, str, bytes]] = []
        self.answers: list[FakeAnswer] = []

    async def open(
        self, endpoint: Endpoint, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> FakeAnswer:
        self.calls.append((endpoint.id, path, body or b""))
        script = self._scripts.get(endpoint.id)
        if script is None:
            raise ConnectFailed("no", endpoint=endpoint.id, code="connect_failed")
        self.answers.append(script())
        return self.answers[-1]

    async def close(self) -> None:
        pass


class FakeEndpoints:
    """`pools` may be empty of endpoints; `arrive` brings one that is healthy."""

    def __init__(self, states: Sequence[EndpointState], pools: Sequence[PoolState] = ()) -> None:
        self._states = states
        self._pools = pools
        self.waiters = EndpointWaiters()
        self.failed: list[str] = []

    def states(self) -> Sequence[EndpointState]:
        return self._states

    def pools(self) -> Sequence[PoolState]:
        return self._pools

    async def wait_for_slot(self, usable: Callable[[EndpointState], bool]) -> EndpointState | None:
        return await self.waiters.wait(usable)

    def slot_freed(self, state: EndpointState) -> None:
        self.waiters.wake_one(state)

    @property
    def news_pending(self) -> bool:
        return self.waiters.woken > 0

    def arrive(self, state: EndpointState) -> None:
        self._states = [*self._states, state]
        self.waiters.wake_all()

    def mark_failed(self, endpoint_id: str, problem: str) -> None:
        self.failed.append(endpoint_id)
        for state in self._states:
            if state.endpoint.id == endpoint_id:
                state.healthy = False


def failover(
    endpoints: FakeEndpoints,
    telemetry: Recorder,
    budget: RetryBudget | None = None,
    ejection: EjectionRule | None = None,
    clock: Clock | None = None,
) -> Failover:
    return Failover(
        endpoints=endpoints,
        telemetry=telemetry,
        budget=budget or retry_budget(),
        faults=FaultBudgets(),
        ejection=ejection or ejection_rule(),
        usual_waits=UsualWaitRule(factor=5.0, floor_s=3.0),
        clock=clock or SteppingClock(),
        uniform=lambda: 0.0,
    )


class SteppingClock:
    """Every look at it is a millisecond later."""

    def __init__(self) -> None:
        self._now = 0.0

    def now(self) -> float:
        self._now += 0.001
        return self._now


class FixedNames:
    """A `NameLookup` that knows these names' addresses, and what it was `asked`."""

    def __init__(self, addresses: Mapping[str, Sequence[str]]) -> None:
        self.known = dict(addresses)
        self.asked: list[str] = []

    async def addresses(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        return self.known.get(host, ())


class StoppedClock:
    """It stands at `time`, which a test moves."""

    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time


class Recorder:
    """A `Telemetry` that remembers."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.gaps: list[float] = []
        self.retries: list[tuple[str, str]] = []
        self.ejected: list[tuple[str, str]] = []
        self.returned: list[str] = []
        self.resumptions: list[tuple[str, str, str]] = []
        self.loads: list[tuple[int, int]] = []
        self.sheds: list[str] = []

    def finished(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    def gap(self, model: str, tier: str, seconds: float) -> None:
        self.gaps.append(seconds)

    def shed(self, reason: str) -> None:
        self.sheds.append(reason)

    def retried(self, pool: str, cause: str) -> None:
        self.retries.append((pool, cause))

    def endpoint_ejected(self, endpoint: Endpoint, cause: str, pause_s: float) -> None:
        self.ejected.append((endpoint.id, cause))

    def endpoint_returned(self, endpoint: Endpoint) -> None:
        self.returned.append(endpoint.id)

    def resumed(self, way: str, outcome: str, cause: str) -> None:
        self.resumptions.append((way, outcome, cause))

    def load(self, inside: int, waiting: int) -> None:
        self.loads.append((inside, waiting))


class ListSink:
    """Collects an answer. `on_send` runs at every piece."""

    def __init__(self, on_send: Callable[[], Awaitable[None]] | None = None) -> None:
        self.status = 0
        self.sent: list[bytes] = []
        self.ended = False
        self.failure: GatewayError | None = None
        self._on_send = on_send

    async def start(
        self, status: int, headers: Mapping[str, str], outcome: Outcome, length: int | None
    ) -> None:
        self.status = status

    async def send(self, data: bytes, more: bool) -> None:
        self.sent.append(data)
        self.ended = not more
        if self._on_send is not None:
            await self._on_send()

    async def fail(self, error: GatewayError) -> None:
        self.failure = error
        self.ended = True

    @property
    def body(self) -> bytes:
        return b"".join(self.sent)


class StreamedReply:
    """A streamed answer, as a client reads it."""

    def __init__(self, sink: ListSink) -> None:
        self.sink = sink
        lines = sink.body.decode().split("\n\n")
        self.comments = [line[2:] for line in lines if line.startswith(": ")]
        self.data = [line[6:] for line in lines if line.startswith("data: ")]
        self.chunks = [orjson.loads(line) for line in self.data if line != "[DONE]"]

    @property
    def pieces(self) -> list[str]:
        deltas = [choice["delta"] for chunk in self.chunks for choice in chunk["choices"]]
        return [delta["content"] for delta in deltas if delta.get("content")]

    @property
    def text(self) -> str:
        return "".join(self.pieces)


class CountingStore(MemoryStore):
    """Counts round trips. `largest` is the most operations of one of them."""

    trips = 0
    largest = 0

    async def run(self, *operations: Operation) -> list[Any]:
        self.trips += 1
        self.largest = max(self.largest, len(operations))
        return await super().run(*operations)


def broken(endpoint: str = "edge:1") -> EngineFailed:
    return EngineFailed("broken", endpoint=endpoint, code="engine_disconnected")


VerifiedPiece = Batch | Exception | None
"""A batch to give, an error to raise, or None: say nothing more, ever."""

VerifiedScripts = Mapping[str, Callable[[], Sequence[VerifiedPiece]]]
"""What the verifier at the endpoint of this id answers, made anew for each attempt."""


def at_first(
    first: Sequence[VerifiedPiece], then: Sequence[VerifiedPiece]
) -> Callable[[], Sequence[VerifiedPiece]]:
    """A script whose first attempt differs from all later ones."""
    attempts = [first]
    return lambda: attempts.pop() if attempts else then


class FakeVerification:
    """Of an engine at `endpoint`. After None it is silent until it is made to `say` more."""

    def __init__(
        self, pieces: Sequence[VerifiedPiece], takes_drafts: bool, endpoint: str = ""
    ) -> None:
        self.endpoint = endpoint
        self._pieces = list(pieces)
        self._more = asyncio.Event()
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
            if not self._pieces:
                self._more.clear()
                await self._more.wait()
            return await self.read()
        if isinstance(piece, Exception):
            raise piece
        return piece

    def say(self, *pieces: VerifiedPiece) -> None:
        self._pieces += pieces
        self._more.set()

    def close(self) -> None:
        self.closed = True


class FakeVerifier:
    """Answers by endpoint id; an endpoint without a script can't be reached.

    While `accepting`, or the endpoint's own, is cleared, engines take their time to accept a job.
    `usage` is what all of them count, `refusals` are of the jobs of an endpoint.
    """

    def __init__(self, scripts: VerifiedScripts) -> None:
        self._scripts = scripts
        self.jobs: list[Job] = []
        self.tokenized: list[str] = []
        self.made: list[FakeVerification] = []
        self.takes_drafts = True
        self.takes_early = self.makes_prompts = False
        self.per_step = 8
        self.early_drafts: list[DraftRun] = []
        self.accepting = asyncio.Event()
        self.accepting.set()
        self.accepting_at = {name: asyncio.Event() for name in scripts}
        for event in self.accepting_at.values():
            event.set()
        self.tells_texts = True
        self.usage: tuple[int, int] | None = None
        self.refusals: dict[str, Exception] = {}

    def facts(self, endpoint: Endpoint) -> DraftFacts:
        return DraftFacts(self.per_step, 100)

    def early(self, endpoint: Endpoint, session: str) -> LeaveDrafts | None:
        if not self.takes_early:
            return None

        def leave(runs: Sequence[DraftRun]) -> bool:
            self.early_drafts += runs
            return True

        return leave

    def takes_messages(self, endpoint: Endpoint) -> bool:
        return self.makes_prompts

    async def tokenize(
        self, endpoint: Endpoint, model: str, messages: Sequence[Mapping[str, Any]]
    ) -> list[int]:
        self.tokenized.append(endpoint.id)
        return [ord(letter) for message in messages for letter in message["content"]]

    async def detokenize(self, endpoint: Endpoint, model: str, ids: Sequence[int]) -> str:
        if not self.tells_texts:
            raise InvalidRequest("no such route", code="engine_refused")
        return "".join(map(chr, ids))

    async def open(self, endpoint: Endpoint, job: Job) -> FakeVerification:
        self.jobs.append(job)
        await self.accepting.wait()
        if endpoint.id not in self._scripts:
            raise ConnectFailed("no", endpoint=endpoint.id, code="connect_failed")
        await self.accepting_at[endpoint.id].wait()
        if endpoint.id in self.refusals:
            raise self.refusals[endpoint.id]
        pieces = self._scripts[endpoint.id]()
        self.made.append(FakeVerification(pieces, self.takes_drafts, endpoint.id))
        self.made[-1].usage = self.usage
        return self.made[-1]


class ChainRecorder:
    """A `ChainTelemetry` that remembers."""

    def __init__(self) -> None:
        self.reports: list[ChainReport] = []
        self.gains: Mapping[str, float] = {}
        self.reasons: list[tuple[str, str]] = []

    def chain_unused(self, chain: str, reason: str) -> None:
        self.reasons.append((chain, reason))

    def chain_ended(self, report: ChainReport, gains: Mapping[str, float]) -> None:
        self.reports.append(report)
        self.gains = gains


class MemberRecorder:
    """A `MemberTelemetry` that remembers."""

    def __init__(self) -> None:
        self.devices: list[int] = []
        self.registrations: list[str] = []
        self.worked: list[tuple[str, str]] = []
        self.refusals: Counter[str] = Counter()

    def registered(self, devices: int) -> None:
        self.devices.append(devices)

    def registration(self, outcome: str) -> None:
        self.registrations.append(outcome)

    def work(self, kind: str, outcome: str, seconds: float) -> None:
        self.worked.append((kind, outcome))

    def refused(self, code: str) -> None:
        self.refusals[code] += 1
