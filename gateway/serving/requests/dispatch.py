"""Chooses an endpoint for a request, sends it there and waits for the first bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.core.body import replace_model
from gateway.core.outcome import Outcome
from gateway.core.ports import Answer, Clock, EndpointSource, ModelServer, Telemetry
from gateway.core.retry import RetryBudget
from gateway.core.routing.routing import Choice, Routing
from gateway.core.streams.answer_stream import AnswerStream
from gateway.core.streams.sse import is_event_stream
from gateway.core.types import EndpointState, InferenceRequest
from gateway.core.upstream_errors import bad_status
from gateway.errors import ConnectFailed, GatewayError, InvalidRequest
from gateway.serving.requests.attempts import Attempts, EndpointSlot, note_attempt
from gateway.serving.requests.progress_timeout import AnswerTimeouts, ProgressTimeout, first_wait
from gateway.serving.requests.scale_from_zero import WakeQueue


@dataclass(slots=True, kw_only=True)
class OpenAnswer:
    """An engine's answer that has begun. `first` are the first good events of its `stream`, or all
    of an answer that is none."""

    answer: Answer
    slot: EndpointSlot
    first: bytes
    stream: AnswerStream | None

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
        telemetry: Telemetry,
        budget: RetryBudget,
        timeouts: AnswerTimeouts,
        uniform: Callable[[], float],
        wake_queue: WakeQueue,
    ) -> None:
        self._routing = routing
        self._endpoints = endpoints
        self._server = server
        self._clock = clock
        self._telemetry = telemetry
        self._budget = budget
        self._timeouts = timeouts
        self._uniform = uniform
        self._wake_queue = wake_queue

    async def open(
        self,
        request: InferenceRequest,
        headers: Mapping[str, str],
        outcome: Outcome,
        timeout: ProgressTimeout,
    ) -> OpenAnswer:
        """Choose and send until an endpoint answers. The caller must `release` what it gets.

        Raises InvalidRequest, NoEndpoint, Overloaded, DeadlineExceeded, UpstreamError.
        """
        attempts = Attempts(
            endpoints=self._endpoints, telemetry=self._telemetry, budget=self._budget
        )
        while True:
            try:
                choice = self._choose(request, attempts)
            except GatewayError as refusal:
                choice = await self._wait_for_endpoint(request, refusal, attempts, outcome)
            with attempts.at(choice) as slot:
                note_attempt(outcome, choice, self._clock.now())
                opened = await self._send(request, slot, headers, timeout)
                slot.keep()
                return opened

    def _choose(self, request: InferenceRequest, attempts: Attempts) -> Choice:
        return self._routing.choose(
            request, self._endpoints.states(), self._clock.now(), self._uniform, attempts.failed_ids
        )

    async def _wait_for_endpoint(
        self, request: InferenceRequest, refusal: GatewayError, attempts: Attempts, outcome: Outcome
    ) -> Choice:
        """No endpoint can take the request now. Wait for one, if its pool is one that wakes up."""
        if not isinstance(attempts.failure, ConnectFailed):
            attempts.raise_failure()
        began = self._clock.now()
        # An endpoint that could not be reached may be a good one once it has come up.
        attempts.failed_ids.clear()
        try:
            return await self._wake_queue.wait(
                request, refusal, lambda: self._choose(request, attempts), attempts.held_s
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
        timeout: ProgressTimeout,
    ) -> OpenAnswer:
        """One attempt, until the first event is there, or all of an answer in one piece."""
        state = slot.choice.state
        body = _body_for(request, slot.choice.model)
        with timeout:
            timeout.expect(*self._first_wait(request, state))
            answer = await self._server.open(state.endpoint, request.path, headers, body)
            slot.answer = answer
            if answer.status >= 500 or 300 <= answer.status < 400:
                raise bad_status(state.endpoint.id, request.path, answer.status)
            if answer.status < 300 and is_event_stream(answer.headers):
                stream = AnswerStream(request.path, state.endpoint.id)
                first = await _first_events(answer, stream)
            else:
                stream, first = None, await _read_all(answer)
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


async def _first_events(answer: Answer, stream: AnswerStream) -> bytes:
    """All up to the first event of the answer. Comments are none: until something of the answer
    itself is there, another endpoint may still give it. Raises EngineFailed."""
    events = b""
    while not (stream.progressed or stream.over):
        chunk = await answer.read()
        if not chunk:
            return events + stream.finish()
        events += stream.feed(chunk)
    if stream.over and not stream.done:
        stream.finish()
    return events


async def _read_all(answer: Answer) -> bytes:
    pieces = [await answer.read()]
    while pieces[-1]:
        pieces.append(await answer.read())
    return b"".join(pieces)


def _body_for(request: InferenceRequest, model: str) -> bytes:
    if model == request.model or not request.model_in_body:
        return request.body
    body = replace_model(request.body, model)
    if body is None:
        raise InvalidRequest(
            'model: write the key plainly as "model", without escapes',
            param="model",
            code="invalid_model",
        )
    return body
