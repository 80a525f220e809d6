"""Find an endpoint and get its first bytes; until they are there, a failure re-picks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gateway.core.body import replace_model
from gateway.core.outcome import Outcome
from gateway.core.ports import Answer, Clock, EndpointSource, ModelServer, Telemetry
from gateway.core.retry import RetryBudget
from gateway.core.routing.routing import Choice, Routing
from gateway.core.types import EndpointState, InferenceRequest
from gateway.errors import (
    ConnectFailed,
    DeadlineExceeded,
    EngineFailed,
    FirstTokenTimeout,
    GatewayError,
    InvalidRequest,
    UpstreamError,
)
from gateway.serving.requests.progress_timeout import ProgressTimeout
from gateway.serving.requests.scale_from_zero import WakeQueue


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds: until a stream's first bytes, between two pieces, for an answer in one piece."""

    first_token_s: float
    idle_s: float
    answer_s: float


@dataclass(slots=True, kw_only=True)
class OpenAnswer:
    """An answer that has begun. `first` is its first bytes, or all of them when not `streaming`."""

    answer: Answer
    choice: Choice
    first: bytes
    streaming: bool

    @property
    def state(self) -> EndpointState:
        return self.choice.state


@dataclass(slots=True, kw_only=True)
class _Tries:
    """What one request has behind it: the ids that failed it, the last failure and its pool, how
    many engines were at work for it, and the seconds that it was held."""

    tried: set[str] = field(default_factory=set)
    failure: UpstreamError | None = None
    failed_pool: str = ""
    worked: int = 0
    held_s: float = 0.0


class Dispatch:
    def __init__(
        self,
        *,
        routing: Routing,
        endpoints: EndpointSource,
        server: ModelServer,
        clock: Clock,
        telemetry: Telemetry,
        budget: RetryBudget,
        waits: Waits,
        uniform: Callable[[], float],
        holding: WakeQueue,
    ) -> None:
        self._routing = routing
        self._endpoints = endpoints
        self._server = server
        self._clock = clock
        self._telemetry = telemetry
        self._budget = budget
        self._waits = waits
        self._uniform = uniform
        self._holding = holding

    async def open(
        self,
        request: InferenceRequest,
        headers: Mapping[str, str],
        outcome: Outcome,
        watchdog: ProgressTimeout,
    ) -> OpenAnswer:
        """Route and call until an endpoint answers. The caller must `release` what it gets.

        Raises InvalidRequest, NoEndpoint, Overloaded, DeadlineExceeded, UpstreamError.
        """
        self._budget.request_started()
        tries = _Tries()
        while True:
            try:
                choice = self._choose(request, tries)
            except GatewayError as refusal:
                choice = await self._held(request, refusal, tries, outcome)
            failure = tries.failure
            if failure is not None:
                # A failure to connect cost the engine nothing, so it is not charged: a dead pool
                # of any size must not stand before a healthy one. `tried` bounds the tries.
                if not isinstance(failure, ConnectFailed) and not self._budget.allow_retry(
                    tries.worked
                ):
                    raise failure
                self._telemetry.retried(tries.failed_pool, failure.code or "error")
            _note(outcome, choice, self._clock.now())
            try:
                return await self._attempt(request, choice, headers, watchdog)
            except UpstreamError as error:
                tries.failure, tries.failed_pool = error, choice.state.endpoint.pool
                tries.tried.add(error.endpoint)
                if isinstance(error, ConnectFailed):
                    self._endpoints.mark_failed(error.endpoint, error.message)
                else:
                    tries.worked += 1

    def release(self, opened: OpenAnswer) -> None:
        opened.answer.close()
        opened.state.in_flight -= 1
        self._endpoints.freed(opened.state)

    def _choose(self, request: InferenceRequest, tries: _Tries) -> Choice:
        return self._routing.choose(
            request, self._endpoints.states(), self._clock.now(), self._uniform, tries.tried
        )

    async def _held(
        self, request: InferenceRequest, refusal: GatewayError, tries: _Tries, outcome: Outcome
    ) -> Choice:
        """Nothing can take it now: wait, if that is what a pool without endpoints asks for."""
        failure = tries.failure
        if failure is not None and not isinstance(failure, ConnectFailed):
            # It has been at work somewhere: that failure tells the caller more than a refusal.
            raise failure from None
        came = self._clock.now()
        # What could not be reached then may be a good one by the time that it comes up.
        tries.tried.clear()
        try:
            return await self._holding.wait(
                request, refusal, lambda: self._choose(request, tries), tries.held_s
            )
        except GatewayError as error:
            if failure is not None and error is refusal:
                raise failure from None
            raise
        finally:
            waited = self._clock.now() - came
            tries.held_s += waited
            outcome.queue_s += waited

    async def _attempt(
        self,
        request: InferenceRequest,
        choice: Choice,
        headers: Mapping[str, str],
        watchdog: ProgressTimeout,
    ) -> OpenAnswer:
        state = choice.state
        state.in_flight += 1
        answer: Answer | None = None
        try:
            body = _body_for(request, choice.model)
            with watchdog:
                watchdog.expect(*self._first_wait(request, state))
                answer = await self._server.open(state.endpoint, request.path, headers, body)
                streaming = answer.headers.get("content-type", "").startswith("text/event-stream")
                if answer.status >= 500 or 300 <= answer.status < 400:
                    raise EngineFailed(
                        f"{state.endpoint.id} answered {answer.status}",
                        endpoint=state.endpoint.id,
                        code="engine_error",
                    )
                first = await answer.read()
                if not streaming:
                    first = await _read_all(answer, first)
                return OpenAnswer(answer=answer, choice=choice, first=first, streaming=streaming)
        except BaseException:
            state.in_flight -= 1
            self._endpoints.freed(state)
            if answer is not None:
                answer.close()
            raise

    def _first_wait(
        self, request: InferenceRequest, state: EndpointState
    ) -> tuple[float, Callable[[], Exception]]:
        """How long to wait for the first bytes, and the error when they don't come."""
        seconds = self._waits.first_token_s if request.stream else self._waits.answer_s
        deadline = request.demands.deadline_s
        if deadline is not None:
            left = max(0.0, deadline - (self._clock.now() - request.received))
            if left <= seconds:
                return left, _deadline_exceeded
        endpoint = state.endpoint.id

        def error() -> FirstTokenTimeout:
            what = "first token" if request.stream else "answer"
            return FirstTokenTimeout(
                f"no {what} from {endpoint} in {seconds:g} s",
                endpoint=endpoint,
                code="first_token_timeout",
            )

        return seconds, error


def _deadline_exceeded() -> DeadlineExceeded:
    return DeadlineExceeded(
        "the deadline in x-tierflow-deadline-ms passed before the answer began",
        param="x-tierflow-deadline-ms",
        code="deadline_exceeded",
    )


async def _read_all(answer: Answer, first: bytes) -> bytes:
    pieces = [first]
    while pieces[-1]:
        pieces.append(await answer.read())
    return b"".join(pieces)


def _body_for(request: InferenceRequest, model: str) -> bytes:
    if model == request.model or not request.model_in_body:
        return request.body
    body = replace_model(request.body, model)
    if body is None:
        raise InvalidRequest(
            'model: write the key plainly as "model", without escapes', param="model"
        )
    return body


def _note(outcome: Outcome, choice: Choice, now: float) -> None:
    outcome.attempts += 1
    outcome.opened = now
    outcome.model = choice.model
    outcome.tier = choice.state.endpoint.tier.value
    outcome.endpoint = choice.state.endpoint.id
    outcome.reason = choice.reason
