"""The seams: what the gateway needs from outside, each implemented under `gateway.adapters`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from gateway.core.access.key import Identity
from gateway.core.collective.report import Report
from gateway.core.devices.grant import Grant
from gateway.core.devices.member import Member, WorkEnd, WorkOrder, WorkPiece
from gateway.core.outcome import Outcome
from gateway.core.speculation.chain_report import ChainReport
from gateway.core.speculation.job import Batch, DraftFacts, DraftRun, Job
from gateway.core.speculation.outcome import SessionOutcome
from gateway.core.speculation.session import Step
from gateway.core.state.operations import Operation
from gateway.core.types import Endpoint, EndpointState, PoolState

LeaveDrafts = Callable[[Sequence[DraftRun]], bool]


class Answer(Protocol):
    """An engine's answer while it arrives.

    `read` gives the next bytes as they come, b"" at the end, and raises `UpstreamError`.
    `close` is idempotent; before the end it makes the engine give up the work. `drain` says that
    the answer is complete, though its connection may not have ended: the connection may be used
    again if it ends soon, and is closed if not. After that `close` does nothing.
    """

    status: int
    headers: Mapping[str, str]

    async def read(self) -> bytes: ...

    def drain(self) -> None: ...

    def close(self) -> None: ...


class ModelServer(Protocol):
    """A client of the engines. `open` returns when the answer's head has arrived; a `body` of None
    is a GET.

    Raises ConnectFailed when nothing was processed for certain, EngineFailed when the connection
    broke later.
    """

    async def open(
        self, endpoint: Endpoint, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> Answer: ...

    async def close(self) -> None: ...


class EndpointSource(Protocol):
    """The endpoints that are known now. `states` and `pools` are in memory: calling them costs
    nothing.

    They may be other endpoints at each call; a state that is held stays good to count on.
    `mark_failed` takes a replica out at once, until it is seen healthy again.

    `wait_for_slot` gives None when an endpoint turned healthy, and the state of a `usable` endpoint
    when a request ended there, which `slot_freed` tells. `slot_freed` wakes one request that waits,
    so a request that was woken and does not use the slot must call it in turn. It costs nothing
    where no request waits.
    """

    def states(self) -> Sequence[EndpointState]: ...

    def pools(self) -> Sequence[PoolState]: ...

    def mark_failed(self, endpoint_id: str, problem: str) -> None: ...

    async def wait_for_slot(
        self, usable: Callable[[EndpointState], bool]
    ) -> EndpointState | None: ...

    def slot_freed(self, state: EndpointState) -> None: ...


class Clock(Protocol):
    """A clock: seconds, monotonic, from an arbitrary start."""

    def now(self) -> float: ...


class Telemetry(Protocol):
    """The place where requests are counted and logged. None of its methods blocks or raises.

    `cause` is the code of the failure. `endpoint_returned`: a trial of an ejected one succeeded.

    `resumed` counts answers whose engine broke after their first token, by the `way` of answering
    (chat, completions, responses, other, draft, cascade, collective): `outcome` is resumed where
    the answer went on elsewhere, failed where it could not; `cause` is the break's error code.
    """

    def finished(self, outcome: Outcome) -> None: ...

    def gap(self, model: str, tier: str, seconds: float) -> None: ...

    def retried(self, pool: str, cause: str) -> None: ...

    def endpoint_ejected(self, endpoint: Endpoint, cause: str, pause_s: float) -> None: ...

    def endpoint_returned(self, endpoint: Endpoint) -> None: ...

    def resumed(self, way: str, outcome: str, cause: str) -> None: ...

    def load(self, inside: int, waiting: int) -> None: ...

    def shed(self, reason: str) -> None: ...


class Onlooker(Protocol):
    """Who looks at requests as they end, such as the console. It neither waits nor raises, and no
    request counts on it. `asked`: the model that the caller asked for; `status` is what it got."""

    def request_ended(self, outcome: Outcome, *, asked: str, status: int) -> None: ...

    def session_ended(self, outcome: SessionOutcome) -> None: ...


class Verification(Protocol):
    """One answer that an engine makes, for which drafts may be left at any time.

    `draft` never waits; it gives False, and the answer goes on without, when the engine can't be
    told. `read` gives the next batch as it comes, None after the last, and raises UpstreamError.
    `close` is idempotent; before the end it makes the engine give up the work. `usage` is
    (prompt tokens, completion tokens) once the engine has said them.
    """

    @property
    def usage(self) -> tuple[int, int] | None: ...

    def draft(self, runs: Sequence[DraftRun]) -> bool: ...

    async def read(self) -> Batch | None: ...

    def close(self) -> None: ...


class Verifier(Protocol):
    """The way to engines that make answers out of token ids, and check drafts where that saves
    steps.

    `open` returns when the engine has accepted the job, which is a round trip later: `early` gives
    the way to leave drafts for a session until then, where they can already be there when the
    engine begins (None: nowhere but with the answer that is opened). Where it `takes_messages`, a
    job may have these in place of a prompt, and needs no `tokenize` first. All that wait raise
    UpstreamError when the engine failed, InvalidRequest when it refused what it was given.
    """

    def facts(self, endpoint: Endpoint) -> DraftFacts: ...

    def early(self, endpoint: Endpoint, session: str) -> LeaveDrafts | None: ...

    def takes_messages(self, endpoint: Endpoint) -> bool: ...

    async def tokenize(
        self, endpoint: Endpoint, model: str, messages: Sequence[Mapping[str, Any]]
    ) -> list[int]: ...

    async def detokenize(self, endpoint: Endpoint, model: str, ids: Sequence[int]) -> str: ...

    async def open(self, endpoint: Endpoint, job: Job) -> Verification: ...


class DraftingEngines(Protocol):
    """The engines as places where drafts may be left for any answer. `facts`: how an endpoint takes
    them.

    `put` never waits; it gives False, and the answer goes on without, when the engine can't be
    told. `encode` gives the token ids of a text, as a model reads it in the middle of others. It
    raises UpstreamError, and InvalidRequest where the engine refuses the text.
    """

    def facts(self, endpoint: Endpoint) -> DraftFacts: ...

    def put(self, endpoint: Endpoint, session: str, runs: Sequence[DraftRun]) -> bool: ...

    async def encode(self, endpoint: Endpoint, model: str, text: str) -> list[int]: ...


class DraftSource(Protocol):
    """What drafts for one answer while an engine makes it. None of its methods waits or raises.

    `start`: the request is on its way. From now on `leave` may be called, which hands runs to the
    engine, before it begins too, and never waits; it gives False where they can't be told.
    Positions count the answer's tokens from 0. `prompt` brings the prompt's token ids as soon as
    the engine tells them, before the first `advance`, which brings each further batch of the
    answer's ids, and gives who made each of them first, as `protocol.headers` names them. `close`
    is idempotent: the answer has ended, or its engine is given up.
    """

    def start(self, leave: LeaveDrafts) -> None: ...

    def prompt(self, ids: Sequence[int]) -> None: ...

    def advance(self, ids: Sequence[int]) -> Sequence[str]: ...

    def close(self) -> None: ...


class DeviceTelemetry(Protocol):
    """The place where devices' connections are counted. None of its methods blocks or raises.

    `traffic` counts bytes from (`up`) and to a device, `refused` frames that break the protocol, by
    their code.
    """

    def connected(self, devices: int) -> None: ...

    def traffic(self, up: int, down: int) -> None: ...

    def link(self, round_trip_s: float, bytes_per_s: float) -> None: ...

    def refused(self, code: str) -> None: ...


class SessionTelemetry(Protocol):
    """The place where drafting sessions are counted. None of its methods blocks or raises.

    `drafts` counts draft tokens by their fate: forwarded, late, or dropped.
    """

    def session_started(self, tier: str) -> None: ...

    def drafts(self, tier: str, fate: str, tokens: int) -> None: ...

    def step(self, tier: str, step: Step) -> None: ...

    def session_ended(self, tier: str, outcome: SessionOutcome) -> None: ...


class RoundTelemetry(Protocol):
    """The place where rounds of drafts are counted, at engines without a mailbox. Neither method
    blocks or raises.

    `round` takes how many drafts were checked and accepted, and its time in seconds. `plain` counts
    answers that are served without rounds, by the reason: sampled, stop_texts, fields, unbounded,
    slower, refused or unreadable.
    """

    def round(self, pool: str, drafted: int, accepted: int, seconds: float) -> None: ...

    def plain(self, pool: str, reason: str) -> None: ...


class StateStore(Protocol):
    """What the replicas of the gateway share: `core.state.operations` says what can be done.

    `run` carries out all operations in one round trip, each atomically, and gives their results in
    order. `publish` reaches whoever listens to the channel now, on any replica, once and in order;
    nothing is kept for later. Both raise StateLost within the store's timeout, and never block
    longer: then what was asked may have been done, or not. They raise it, with another code, also
    for a value that is too large or where there is no room.

    `listen` calls `receive` for each message from then on, until the function that it gives is
    called. It raises nothing: while the store is lost it is remembered, and holds from its return
    on.
    """

    async def run(self, *operations: Operation) -> list[Any]: ...

    async def publish(self, channel: str, message: bytes) -> None: ...

    async def listen(
        self, channel: str, receive: Callable[[bytes], None]
    ) -> Callable[[], None]: ...

    def problem(self) -> str | None:
        """Why the store can't be used now; None: it can."""
        ...


class ChainTelemetry(Protocol):
    """The place where answers of chains of tiers are counted. None of its methods blocks or raises.

    `gains` by tier in the middle: how much faster answers come with it, as far as it is known.
    `chain_unused`: an answer came without drafts; `reason` is a field of the request, or
    one of a few words.
    """

    def chain_ended(self, report: ChainReport, gains: Mapping[str, float]) -> None: ...

    def chain_unused(self, chain: str, reason: str) -> None: ...


class AccessTelemetry(Protocol):
    """The place where refused callers are counted. It neither blocks nor raises. `key` is the name
    of the key that was shown, "" where none was known; `reason` the error code."""

    def refused(self, key: str, reason: str) -> None: ...


class StateTelemetry(Protocol):
    """The place where calls of a store on a server are counted. None of its methods blocks or
    raises.

    `operations` counts by name (hold, enter, …) and outcome: ok, lost, local (answered by the
    replica's own store in its place) or refused. `emptied` counts the times that the store's
    content was found gone.
    """

    def round_trip(self, seconds: float) -> None: ...

    def emptied(self) -> None: ...

    def operations(self, name: str, outcome: str, number: int) -> None: ...


class ResumableTelemetry(Protocol):
    """The place where resumable streams are counted. None of its methods blocks or raises.

    `resumed` takes where the stream was: `own` or `other` replica. `lost` takes the reason:
    expired, evicted, overflown, replica_gone, broken or stopped.
    """

    def resumed(self, replica: str) -> None: ...

    def lost(self, reason: str) -> None: ...


class Assignment(Protocol):
    """Work that one device was given. `read` gives pieces, and at last one end; it raises
    MemberFailed. `cancel` is idempotent, and needs no answer."""

    async def read(self) -> WorkPiece | WorkEnd: ...

    def cancel(self) -> None: ...


class Members(Protocol):
    """The devices that have registered, with this replica or another. Both cost no round trip.

    `assign` never waits or raises: what is wrong with it, reading tells. Whoever asked reads to the
    end or cancels; the order's deadline ends it in any case.
    """

    def members(self) -> Sequence[Member]: ...

    def assign(self, device: str, order: WorkOrder) -> Assignment: ...


class MemberTelemetry(Protocol):
    """The place where members and their work are counted. None of its methods blocks or raises.

    `outcome` is a finish reason or the code of MemberFailed; `registration` takes `registered` or
    the code of what was refused.
    """

    def registered(self, devices: int) -> None: ...

    def registration(self, outcome: str) -> None: ...

    def work(self, kind: str, outcome: str, seconds: float) -> None: ...

    def refused(self, code: str) -> None: ...


class Embedder(Protocol):
    """A model that turns texts into vectors of unit length. Raises EmbeddingFailed."""

    name: str

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]: ...


class NameLookup(Protocol):
    """The way to the addresses that a host's name leads to; none where it is not found in time."""

    async def addresses(self, host: str) -> Sequence[str]: ...


class Callers(Protocol):
    """The way to tell by an Authorization header which device asks: what its token stands for;
    None where it is no device's. Raises StateLost, and TooManyAttempts where too many wrong ones
    came from `address` ("": nobody counts)."""

    async def device_of(self, authorization: str, address: str = "") -> Grant | None: ...


class TokenIssuers(Protocol):
    """The way to tell who has a token that an issuer has signed. Raises InvalidKey, and StateLost
    where the issuer's keys could never be read."""

    async def identify(self, token: str) -> Identity: ...


class CollectiveTelemetry(Protocol):
    """The place where collectives are counted. None of its methods blocks or raises."""

    def finished(self, report: Report) -> None: ...

    def feedback(self, domain: str) -> None: ...

    def state_lost(self, step: str) -> None: ...

    def embedding_failed(self, source: str) -> None: ...
