"""A request whose answer is an engine's own: from admission to the last byte."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from gateway.core.endpoint_rates import learn
from gateway.core.outcome import Outcome
from gateway.core.ports import Clock, Telemetry
from gateway.core.sse import EventBuffer, count_tokens, find_usage
from gateway.core.types import InferenceRequest
from gateway.core.upstream_errors import client_stalled, ended_early, idle_timeout
from gateway.errors import ClientStalled, GatewayError
from gateway.protocol.paths import CHAT
from gateway.serving.requests.admission import Admission
from gateway.serving.requests.dispatch import Dispatch, OpenAnswer
from gateway.serving.requests.lifecycle import AdmissionSlot, Lifecycle, error_kind
from gateway.serving.requests.progress_timeout import AnswerTimeouts, ProgressTimeout
from gateway.serving.requests.refusals import relayed

USAGE_TAIL_BYTES = 4096


class Sink(Protocol):
    """The caller's end of an answer. `start` once, then `send`, the last time with `more=False`.

    `fail` ends an answer that has been started with one error that the client can read.
    """

    async def start(
        self, status: int, headers: Mapping[str, str], outcome: Outcome, length: int | None
    ) -> None: ...

    async def send(self, data: bytes, more: bool) -> None: ...

    async def fail(self, error: GatewayError) -> None: ...


class InferenceHandler:
    """Answers requests for models that engines serve, by relaying the engine's bytes."""

    def __init__(
        self,
        *,
        admission: Admission,
        dispatch: Dispatch,
        clock: Clock,
        telemetry: Telemetry,
        timeouts: AnswerTimeouts,
    ) -> None:
        self._admission = admission
        self._dispatch = dispatch
        self._clock = clock
        self._telemetry = telemetry
        self._timeouts = timeouts

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
        opened = await self._dispatch.open(request, headers, outcome, timeout)
        try:
            outcome.status = opened.answer.status
            if outcome.status >= 400:
                outcome.kind = "client_error"
            outcome.first_byte = outcome.last_byte = self._clock.now()
            if opened.streaming:
                await self._send_stream(opened, sink, outcome)
            else:
                await self._send_whole(opened, sink, outcome)
            learn(opened.state, outcome, self._clock.now())
        finally:
            opened.release()

    async def _send_whole(self, opened: OpenAnswer, sink: Sink, outcome: Outcome) -> None:
        data = opened.first
        if opened.answer.status >= 400 and outcome.request.path == CHAT:
            data = relayed(data)
        _note_usage(data[-USAGE_TAIL_BYTES:], outcome)
        await sink.start(opened.answer.status, opened.answer.headers, outcome, len(data))
        await sink.send(data, more=False)

    async def _send_stream(self, opened: OpenAnswer, sink: Sink, outcome: Outcome) -> None:
        """Pass events on as they complete. A failure ends the stream with one error event."""
        await sink.start(opened.answer.status, opened.answer.headers, outcome, None)
        buffer = EventBuffer()
        try:
            tail = await self._relay(opened, sink, outcome, buffer)
        except ClientStalled:
            raise
        except GatewayError as error:
            outcome.kind = error_kind(error)
            await sink.fail(error)
            return
        _note_usage(tail, outcome)
        await sink.send(buffer.rest(), more=False)

    async def _relay(
        self, opened: OpenAnswer, sink: Sink, outcome: Outcome, buffer: EventBuffer
    ) -> bytes:
        """Relay to the end, and give the last events, which hold the engine's usage figures."""
        read, now, idle_s = opened.answer.read, self._clock.now, self._timeouts.idle_s
        endpoint, model, tier = opened.state.endpoint.id, outcome.model, outcome.tier
        gap = self._telemetry.gap
        read_at, tail, chunk = outcome.first_byte or 0.0, b"", opened.first
        sending = False

        def stalled() -> GatewayError:
            if sending:
                return client_stalled()
            return idle_timeout(endpoint, idle_s)

        with ProgressTimeout(now) as timeout:
            timeout.expect(idle_s, stalled)
            while chunk:
                if events := buffer.feed(chunk):
                    sending = True
                    await sink.send(events, more=True)
                    sending = False
                    if tokens := count_tokens(events):
                        outcome.completion_tokens += tokens
                        outcome.last_byte = read_at
                    tail = events if len(events) > 256 else tail[-USAGE_TAIL_BYTES:] + events
                timeout.extend(now() + idle_s)
                chunk = await read()
                if chunk:
                    previous, read_at = read_at, now()
                    gap(model, tier, read_at - previous)
        if not _is_complete(tail, outcome.request):
            raise ended_early(endpoint)
        return tail


def _is_complete(tail: bytes, request: InferenceRequest) -> bool:
    """Whether a stream ended as its protocol says: chat and completions end with [DONE]."""
    if not request.path.endswith("/completions"):
        return True
    return b"data: [DONE]" in tail[-64:] or b"data:[DONE]" in tail[-64:]


def _note_usage(data: bytes, outcome: Outcome) -> None:
    if usage := find_usage(data):
        outcome.prompt_tokens = usage.prompt_tokens
        outcome.completion_tokens = usage.completion_tokens
