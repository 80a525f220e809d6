"""A request whose answer is an engine's own: from admission to the last byte."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Set
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from gateway.core.endpoints.endpoint_rates import learn
from gateway.core.outcome import Outcome
from gateway.core.ports import Clock, ModelServer, Telemetry
from gateway.core.routing.routing import Choice
from gateway.core.streams.continuation import SentAnswer
from gateway.core.streams.usage import find_usage
from gateway.core.types import EndpointState, InferenceRequest
from gateway.core.upstream_errors import client_stalled, idle_timeout
from gateway.errors import GatewayError, UpstreamError
from gateway.protocol.errors.anthropic_errors import anthropic_error
from gateway.protocol.paths import CHAT, COMPLETIONS, OTHER, RESPONSES, ROUTES
from gateway.serving.requests.admission import Admission
from gateway.serving.requests.dispatch import Dispatch, OpenAnswer
from gateway.serving.requests.lifecycle import AdmissionSlot, Lifecycle, error_kind
from gateway.serving.requests.progress_timeout import AnswerTimeouts, ProgressTimeout
from gateway.serving.requests.refusals import relayed
from gateway.serving.requests.resumptions import Resumptions
from gateway.serving.requests.stream_rest import StreamContinuation, rest_of_stream

PIECE_BYTES = 256 * 1024
"""An answer in one piece goes out in pieces of this size, so that a slow reader is told from one
that has stopped."""


class Sink(Protocol):
    """The caller's end of an answer. `start` once, then `send`, the last time with `more=False`.

    `fail` ends a stream that has been started with the one error event of its route's protocol.
    """

    async def start(
        self, status: int, headers: Mapping[str, str], outcome: Outcome, length: int | None
    ) -> None: ...

    async def send(self, data: bytes, more: bool) -> None: ...

    async def fail(self, error: GatewayError) -> None: ...


_WAYS = {CHAT: "chat", COMPLETIONS: "completions", RESPONSES: "responses"}


OwnServer = Callable[[InferenceRequest, Outcome], ModelServer | None]
"""Gives a request's own way to the engines; None: it has none."""


class InferenceHandler:
    """Answers requests for models that engines serve, by relaying the engine's bytes. `own_server`
    is for requests whose answers come about in another way than their bodies say."""

    def __init__(
        self,
        *,
        admission: Admission,
        dispatch: Dispatch,
        clock: Clock,
        telemetry: Telemetry,
        timeouts: AnswerTimeouts,
        continuation: StreamContinuation | None = None,
        own_server: OwnServer | None = None,
    ) -> None:
        self._admission = admission
        self._dispatch = dispatch
        self._clock = clock
        self._telemetry = telemetry
        self._timeouts = timeouts
        self._continuation = continuation
        self._own_server = own_server

    async def answer(
        self, request: InferenceRequest, headers: Mapping[str, str], sink: Sink
    ) -> None:
        """Answer into `sink`. Raises GatewayError only while nothing has been started.

        Cancelling the task that runs this makes the engine give up its work at once.
        """
        outcome = Outcome(request=request)
        with Lifecycle(outcome, self._clock, self._telemetry.finished):
            async with AdmissionSlot(self._admission, outcome):
                await self._answer(request, headers, sink, outcome)

    async def _answer(
        self, request: InferenceRequest, headers: Mapping[str, str], sink: Sink, outcome: Outcome
    ) -> None:
        timeout = ProgressTimeout(self._clock.now)
        server = None if self._own_server is None else self._own_server(request, outcome)
        opened = await self._dispatch.open(request, headers, outcome, timeout, server=server)
        try:
            outcome.status = opened.answer.status
            if outcome.status >= 400:
                outcome.kind = "client_error"
            outcome.first_byte = outcome.last_byte = self._clock.now()
            if opened.stream is not None:
                await self._send_stream(opened, headers, sink, outcome)
            else:
                outcome.note_usage(find_usage(opened.first))
            if not outcome.resumptions:
                learn(opened.state, outcome, self._clock.now())
        finally:
            opened.release()
        if opened.stream is None:
            # The endpoint's place is free while the caller takes its time.
            await self._send_whole(opened, sink, outcome)

    async def _send_whole(self, opened: OpenAnswer, sink: Sink, outcome: Outcome) -> None:
        """Raises ClientStalled for a caller that takes no piece for the idle timeout."""
        data, now, idle_s = opened.first, self._clock.now, self._timeouts.idle_s
        if opened.answer.status >= 400:
            data = relayed(data)
            if ROUTES.get(outcome.request.path, OTHER).anthropic:
                data = anthropic_error(data, outcome.status)
        with ProgressTimeout(now) as timeout:
            timeout.expect(idle_s, client_stalled)
            await sink.start(opened.answer.status, opened.answer.headers, outcome, len(data))
            for begin in range(0, max(1, len(data)), PIECE_BYTES):
                end = begin + PIECE_BYTES
                await sink.send(data[begin:end], more=end < len(data))
                timeout.extend(now() + idle_s)

    async def _send_stream(
        self, opened: OpenAnswer, headers: Mapping[str, str], sink: Sink, outcome: Outcome
    ) -> None:
        """Pass events on as they complete. When the engine breaks, another one goes on where that
        is possible; else one error event ends the stream."""
        await sink.start(opened.answer.status, opened.answer.headers, outcome, None)
        terms = outcome.request.continuation
        sent = SentAnswer(terms) if terms is not None and self._continuation is not None else None
        way = _WAYS.get(outcome.request.path, "other")
        try:
            with Resumptions(way, self._telemetry) as resumptions:
                while True:
                    try:
                        await self._relay(opened, sink, outcome, sent)
                        return
                    except UpstreamError as error:
                        opened.slot.broke(error)
                        opened.release()
                        resumptions.broke(error.code)
                        rest = await rest_of_stream(
                            self._continuation,
                            request=outcome.request,
                            headers=headers,
                            outcome=outcome,
                            sent=sent,
                            broken=opened.state,
                            error=error,
                        )
                    resumptions.went_on()
                    if rest.opened is None:
                        await self._in_time(sink.send(rest.ending, more=False))
                        return
                    opened = rest.opened
        except UpstreamError as error:
            outcome.kind = error_kind(error)
            await self._in_time(sink.fail(error))
        finally:
            opened.release()
            if opened.stream is not None:
                outcome.note_usage(opened.stream.usage)

    async def _in_time(self, sending: Coroutine[None, None, None]) -> None:
        """Raises ClientStalled."""
        with ProgressTimeout(self._clock.now) as timeout:
            timeout.expect(self._timeouts.idle_s, client_stalled)
            await sending

    async def _relay(
        self, opened: OpenAnswer, sink: Sink, outcome: Outcome, sent: SentAnswer | None
    ) -> None:
        """Relay to the end, which the last events bring: what the engine does after them does not
        matter. `sent` notes what goes out. Raises UpstreamError when the engine breaks, in whatever
        way; nothing of a broken event has been sent then. Raises ClientStalled."""
        stream, state = opened.stream, opened.state
        assert stream is not None
        read, now, idle_s = opened.answer.read, self._clock.now, self._timeouts.idle_s
        read_at, events = outcome.first_byte or 0.0, opened.first
        awaited, timeout = AwaitedSide(state.endpoint.id, idle_s), ProgressTimeout(now)
        with timeout, self._next_piece_wait(state, timeout, awaited, outcome, sent):
            timeout.expect(idle_s, awaited.error)
            while True:
                if events:
                    if sent is not None:
                        events = sent.note(events)
                    awaited.caller = True
                    await sink.send(events, more=not stream.done)
                    awaited.caller = False
                    if stream.tokens:
                        outcome.completion_tokens += stream.tokens
                        outcome.last_byte = read_at
                if stream.over:
                    break
                if stream.progressed:
                    # Comments are no progress.
                    state.answered_at = now()
                    timeout.extend(state.answered_at + idle_s)
                chunk = await read()
                if not chunk:
                    break
                read_at = self._note_piece(state, outcome, read_at)
                events = stream.feed(chunk)
            if not stream.done:
                last = stream.finish()
                awaited.caller = True
                await sink.send(last if sent is None else sent.note(last), more=False)
        opened.answer.drain()

    def _note_piece(self, state: EndpointState, outcome: Outcome, previous: float) -> float:
        """A piece of the stream has come now, the last one before at `previous`; gives the time."""
        state.answered_at = read_at = self._clock.now()
        pause_s = read_at - previous
        if pause_s > outcome.longest_pause_s:
            outcome.longest_pause_s = pause_s
        self._telemetry.gap(outcome.model, outcome.tier, pause_s)
        return read_at

    def _next_piece_wait(
        self,
        state: EndpointState,
        timeout: ProgressTimeout,
        awaited: AwaitedSide,
        outcome: Outcome,
        sent: SentAnswer | None,
    ) -> AbstractContextManager[None]:
        """The wait for further pieces, which ends early where another endpoint can give them."""
        if sent is None:
            return nullcontext()

        def elsewhere(tried: Set[str]) -> Choice:
            if awaited.caller or not sent.has_ids:
                raise awaited.error()
            return self._dispatch.alternative(outcome.request, outcome.model, tried)

        return self._dispatch.next_piece_wait(
            state, timeout, choose=elsewhere, idle_s=self._timeouts.idle_s
        )


@dataclass(slots=True)
class AwaitedSide:
    """Whom a relayed stream waits for: its `caller`, to take a piece, or else the endpoint, for no
    longer than `idle_s` seconds."""

    endpoint: str
    idle_s: float
    caller: bool = False

    def error(self) -> GatewayError:
        """What it means that nothing came."""
        return client_stalled() if self.caller else idle_timeout(self.endpoint, self.idle_s)
