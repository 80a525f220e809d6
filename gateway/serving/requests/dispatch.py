"""Chooses an endpoint for a request, sends it there and waits for the first bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

from gateway.core.answer_faults import (
    EngineRefusal,
    body_fault,
    doubtful_refusal,
    named_fault,
    status_fault,
)
from gateway.core.bodies.body import replace_model
from gateway.core.bodies.body_outline import SMALL_BYTES
from gateway.core.outcome import Outcome
from gateway.core.ports import Answer, Clock, EndpointSource, ModelServer
from gateway.core.routing.routing import Choice, Routing
from gateway.core.streams.answer_stream import AnswerStream
from gateway.core.streams.chat_answer import ChatChoice
from gateway.core.streams.continuation import tells_prompt, with_token_ids
from gateway.core.streams.sse import MAX_EVENT_BYTES, is_event_stream
from gateway.core.types import EndpointState, InferenceRequest, Probe
from gateway.core.upstream_errors import endless_event, engine_refused, route_not_served
from gateway.errors import (
    ConnectFailed,
    EngineFailed,
    GatewayError,
    InvalidRequest,
    RouteNotServed,
    UpstreamError,
)
from gateway.protocol.errors.engine_error import read_error
from gateway.protocol.paths import OTHER, ROUTES
from gateway.serving.requests.attempts import (
    Attempts,
    EndpointSlot,
    Failover,
    note_attempt,
    note_choice,
    note_first_bytes,
)
from gateway.serving.requests.first_token_wait import NextPieceWait
from gateway.serving.requests.progress_timeout import AnswerTimeouts, ProgressTimeout, first_wait
from gateway.serving.requests.scale_from_zero import WakeQueue

MAX_REASON_BYTES = 16 * 1024
REASON_S = 0.5
"""An engine sends an error as one piece: another endpoint is not kept waiting for more."""


class ParsedAnswer(NamedTuple):
    """A whole answer's body, and the choices of a chat in it."""

    body: Mapping[str, Any]
    choices: Sequence[ChatChoice]


@dataclass(slots=True, kw_only=True)
class OpenAnswer:
    """An engine's answer that has begun. `first` are the first good events of its `stream`, or all
    of an answer that is none; `parsed` is what a check has read of that."""

    answer: Answer
    slot: EndpointSlot
    first: bytes
    stream: AnswerStream | None
    parsed: ParsedAnswer | None = None

    @property
    def no_route(self) -> bool:
        """Whether it says only that its endpoint does not have the route."""
        return isinstance(self.answer, RefusedAnswer) and self.answer.no_route

    @property
    def state(self) -> EndpointState:
        return self.slot.choice.state

    def release(self) -> None:
        """Give the endpoint's place back. Before the answer's end this stops the engine's work."""
        self.slot.release()


class Dispatch:
    """The dispatch of requests: it opens an engine's answer at the endpoint that the routing
    chooses.

    `uniform` gives random numbers in [0, 1).
    """

    def __init__(
        self,
        *,
        routing: Routing,
        endpoints: EndpointSource,
        server: ModelServer,
        clock: Clock,
        failover: Failover,
        timeouts: AnswerTimeouts,
        uniform: Callable[[], float],
        wake_queue: WakeQueue,
    ) -> None:
        self._routing = routing
        self._endpoints = endpoints
        self._server = server
        self._clock = clock
        self._failover = failover
        self._timeouts = timeouts
        self._uniform = uniform
        self._wake_queue = wake_queue

    async def open(
        self,
        request: InferenceRequest,
        headers: Mapping[str, str],
        outcome: Outcome,
        timeout: ProgressTimeout,
        avoid: Set[str] = frozenset(),
        *,
        check: Callable[[str, OpenAnswer], None] | None = None,
        server: ModelServer | None = None,
    ) -> OpenAnswer:
        """Choose and send until an endpoint answers, other than those of the ids in `avoid`. The
        caller must `release` what it gets. `check` looks at an answer to this path, and raises the
        UpstreamError for which another endpoint is to be asked. `server` is the way to the engines
        for this request, where it has one of its own.

        Raises InvalidRequest, NoEndpoint, Overloaded, DeadlineExceeded, UpstreamError.
        """
        attempts, spare = self._failover.attempts(request.caller.id), SpareAnswer()
        attempts.failed_ids |= avoid
        try:
            return await self._open(
                request, headers, outcome, timeout, attempts, spare, check, server or self._server
            )
        except GatewayError as error:
            if spare.opened is None or (spare.no_route and not isinstance(error, RouteNotServed)):
                raise
            note_choice(outcome, spare.opened.slot.choice)
            return spare.opened

    async def _open(
        self,
        request: InferenceRequest,
        headers: Mapping[str, str],
        outcome: Outcome,
        timeout: ProgressTimeout,
        attempts: Attempts,
        spare: SpareAnswer,
        check: Callable[[str, OpenAnswer], None] | None,
        server: ModelServer,
    ) -> OpenAnswer:
        """As `open`. What an endpoint gives that is not good becomes the `spare`, and another one
        is asked."""
        while True:
            choice = await self._next_choice(request, attempts, outcome)
            with attempts.at(choice) as slot:
                note_attempt(outcome, choice, self._clock.now())
                wait = attempts.first_token_wait(
                    slot,
                    timeout,
                    choose=partial(self._choose, request),
                    prompt_chars=request.prompt_chars,
                    stream=request.stream,
                )
                with timeout, wait:
                    timeout.expect(*self._first_wait(request, choice.state))
                    opened = await self._send(request, slot, headers, server)
                spare.check(opened, request.path, attempts)
                if check is not None and opened.answer.status == 200:
                    check(request.path, opened)
                if opened.answer.status == 200:
                    note_first_bytes(outcome, opened.state, self._clock.now())
                slot.keep()
                return opened

    def alternative(self, request: InferenceRequest, model: str, tried: Set[str]) -> Choice:
        """Where a stream of `model`'s could go on now. Raises as `Routing.choose` does."""
        return self._choose(replace(request, model=model), tried)

    def next_piece_wait(
        self,
        state: EndpointState,
        timeout: ProgressTimeout,
        *,
        choose: Callable[[Set[str]], Choice],
        idle_s: float,
    ) -> NextPieceWait:
        """As `Failover.next_piece_wait`."""
        return self._failover.next_piece_wait(state, timeout, choose=choose, idle_s=idle_s)

    def _choose(self, request: InferenceRequest, tried: Set[str]) -> Choice:
        states = self._endpoints.states()
        if request.endpoint:
            states = [state for state in states if state.endpoint.id == request.endpoint]
        return self._routing.choose(request, states, self._clock.now(), self._uniform, tried)

    async def _next_choice(
        self, request: InferenceRequest, attempts: Attempts, outcome: Outcome
    ) -> Choice:
        """Where the request goes next, when there is something. Raises as `open` does."""
        try:
            return self._choose(request, attempts.failed_ids)
        except GatewayError as refusal:
            return await self._wait_for_endpoint(request, refusal, attempts, outcome)

    async def _wait_for_endpoint(
        self, request: InferenceRequest, refusal: GatewayError, attempts: Attempts, outcome: Outcome
    ) -> Choice:
        """No endpoint can take the request now. Wait for one, if its pool is one that wakes up."""
        if attempts.awaits_opinion or not isinstance(attempts.failure, ConnectFailed):
            attempts.raise_failure()
        began = self._clock.now()
        # An endpoint that could not be reached may be a good one once it has come up.
        attempts.failed_ids.clear()
        try:
            return await self._wake_queue.wait(
                request,
                refusal,
                lambda: self._choose(request, attempts.failed_ids),
                attempts.held_s,
            )
        except GatewayError as error:
            if error is refusal:
                attempts.raise_failure()
            raise
        finally:
            waited = self._clock.now() - began
            attempts.held_s += waited
            outcome.queue_s += waited

    async def _send(
        self,
        request: InferenceRequest,
        slot: EndpointSlot,
        headers: Mapping[str, str],
        server: ModelServer,
    ) -> OpenAnswer:
        """One attempt, until the first event is there, or all of an answer in one piece.

        Raises an UpstreamError where the endpoint is to blame for what came.
        """
        endpoint, path = slot.choice.state.endpoint, request.path
        body: bytes | None = None
        if request.method == "POST":
            body = _body_for(request, slot.choice)
            if len(body) > SMALL_BYTES and body is not request.body:
                # A copy of much was made: others have their turn.
                await asyncio.sleep(0)
        target = request.target or path
        answer = slot.answer = await server.open(endpoint, target, headers, body)
        status, of_answer = answer.status, answer.headers
        if fault := status_fault(endpoint.id, path, status, of_answer):
            if status >= 500:
                fault.reason = await _reason(answer)
            raise fault
        is_stream = status < 300 and is_event_stream(of_answer)
        stream = AnswerStream(path, endpoint.id, several=request.several) if is_stream else None
        first = await _first_part(answer, stream, request, endpoint.id)
        if isinstance(first, EngineRefusal):
            answer.close()
            refused = RefusedAnswer(first.status, no_route=first.no_route)
            return OpenAnswer(answer=refused, slot=slot, first=first.body, stream=None)
        return OpenAnswer(answer=answer, slot=slot, first=first, stream=stream)

    def _first_wait(
        self, request: InferenceRequest, state: EndpointState
    ) -> tuple[float, Callable[[], Exception]]:
        return first_wait(
            state.endpoint.id,
            self._timeouts.first_token_s if request.stream else self._timeouts.answer_s,
            what="first token" if request.stream else "answer",
            remaining_s=request.remaining_s(self._clock.now()),
        )


@dataclass(slots=True)
class SpareAnswer:
    """What the caller gets where no endpoint gives better: a refusal that may be one endpoint's
    own, or a stream that broke right behind its first good events, which may be continued."""

    opened: OpenAnswer | None = None

    @property
    def no_route(self) -> bool:
        """Whether it says only that its endpoint does not have the route."""
        return self.opened is not None and self.opened.no_route

    def check(self, opened: OpenAnswer, path: str, attempts: Attempts) -> None:
        """Raises the UpstreamError for which another endpoint is to be asked."""
        status, endpoint = opened.answer.status, opened.state.endpoint.id
        if opened.no_route:
            # However many agree, another pool's engines may have it.
            self.opened = opened
            raise route_not_served(endpoint, path)
        if status >= 400 and attempts.awaits_opinion:
            attempts.agreed()
        elif doubtful_refusal(status):
            self.opened = opened
            raise engine_refused(endpoint, path, status)
        stream = opened.stream
        if stream is not None and stream.over and not stream.done:
            self.opened = self.opened or opened
            stream.finish()


class RefusedAnswer:
    """An engine's refusal that came in other words or in another place, such as the first event of
    a stream, as the `Answer` that callers know. `no_route`: the engine does not have the route."""

    headers: Mapping[str, str] = {"content-type": "application/json"}

    def __init__(self, status: int, *, no_route: bool) -> None:
        self.status = status
        self.no_route = no_route

    async def read(self) -> bytes:
        return b""

    def drain(self) -> None:
        """The engine's own answer is closed already."""

    def close(self) -> None:
        """The engine's own answer is closed already."""


async def _first_part(
    answer: Answer, stream: AnswerStream | None, request: InferenceRequest, endpoint: str
) -> bytes | EngineRefusal:
    """A stream up to the first token of its answer, or an answer in one piece. Raises the
    UpstreamError that the endpoint is to blame for."""
    if stream is not None:
        return await _first_events(answer, stream, request, endpoint)
    whole = await _read_all(answer)
    fault = body_fault(endpoint, request.path, answer.status, answer.headers, whole)
    if isinstance(fault, UpstreamError):
        raise fault
    return fault or whole


async def _first_events(
    answer: Answer, stream: AnswerStream, request: InferenceRequest, endpoint: str
) -> bytes | EngineRefusal:
    """Comments and what opens an answer, such as its role, are held back: until something of the
    answer itself is there, another endpoint may still give all of it. An error in its place counts
    as the status that it names. A stream that breaks once it can be continued is given as it is."""
    events = received = b""
    try:
        while not (stream.begun or stream.over):
            chunk = await answer.read()
            if not chunk:
                return events + stream.finish()
            received = received + chunk if received else chunk
            if len(received) > MAX_EVENT_BYTES:
                raise endless_event(endpoint)
            events += stream.feed(chunk)
        if stream.over and not (stream.done or stream.begun):
            stream.finish()
    except EngineFailed as failure:
        if request.continuation is not None and tells_prompt(events):
            stream.fail(failure)
            return events
        fault = named_fault(endpoint, request.path, answer.headers, received)
        if isinstance(fault, EngineRefusal):
            return fault
        raise fault or failure from None
    return events


async def _reason(answer: Answer) -> str:
    """What an engine says of its own failure; "" where it says nothing soon, or not in JSON."""
    kind, size = answer.headers.get("content-type", ""), answer.headers.get("content-length", "")
    if not (kind.lower().startswith("application/json") and size.isdigit()):
        return ""
    if int(size) > MAX_REASON_BYTES:
        return ""
    with suppress(TimeoutError, UpstreamError):
        async with asyncio.timeout(REASON_S):
            return read_error(await _read_all(answer)).words
    return ""


async def _read_all(answer: Answer) -> bytes:
    pieces = [await answer.read()]
    while pieces[-1]:
        pieces.append(await answer.read())
    return b"".join(pieces)


def _body_for(request: InferenceRequest, choice: Choice) -> bytes:
    body: bytes | None = request.body
    if choice.model != (request.chain or request.model) and request.model_in_body:
        form = ROUTES.get(request.path, OTHER).form
        body = replace_model(request.body, choice.model, request.model_places, form=form)
    if body is None:
        raise InvalidRequest(
            'model: write the key plainly as "model", without escapes',
            param="model",
            code="invalid_model",
        )
    # Servers that are no engines may refuse a field that they do not know.
    if request.continuation is None or choice.state.endpoint.probe is not Probe.ENGINE:
        return body
    return with_token_ids(body)
