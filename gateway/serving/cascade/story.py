"""`tierflow-cascade` from admission to the last byte."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from gateway.core.outcome import Outcome
from gateway.core.ports import Telemetry
from gateway.core.types import InferenceRequest
from gateway.errors import ClientStalled, GatewayError
from gateway.serving.admission import Admission
from gateway.serving.cascade.asked import NAME, Asked, read
from gateway.serving.cascade.audit import Audits
from gateway.serving.cascade.course import Course
from gateway.serving.cascade.reply import Reply, StreamReply, WholeReply
from gateway.serving.cascade.services import CascadeServices
from gateway.serving.cascade.tiers import run
from gateway.serving.inference import Sink
from gateway.serving.watchdog import Watchdog


class Cascade:
    """`stalled_s`: seconds that a caller may leave its answer unread."""

    def __init__(
        self,
        services: CascadeServices,
        admission: Admission,
        telemetry: Telemetry,
        audits: Audits,
        stalled_s: float,
    ) -> None:
        self._services = services
        self._admission = admission
        self._telemetry = telemetry
        self._audits = audits
        self._stalled_s = stalled_s

    async def answer(
        self, request: InferenceRequest, headers: Mapping[str, str], sink: Sink
    ) -> None:
        """Answer into `sink`. Raises GatewayError only while nothing has been started.

        Cancelling the task that runs this makes the engines of all tiers give up their work.
        """
        outcome = Outcome(request)
        try:
            asked = read(request)
            outcome.queue_s = await self._admission.enter()
            try:
                await self._inside(asked, outcome, _Patient(sink, self._services, self._stalled_s))
            finally:
                self._admission.leave()
        except asyncio.CancelledError:
            outcome.kind = "cancelled"
            raise
        except GatewayError as error:
            outcome.kind = error.code or "error"
            raise
        finally:
            outcome.finished = self._services.clock.now()
            self._telemetry.finished(outcome)

    async def _inside(self, asked: Asked, outcome: Outcome, sink: _Patient) -> None:
        course = self._course(asked, outcome, sink)
        # Its tokens are counted with the tiers that made them.
        outcome.model, outcome.reason, outcome.attempts = NAME, "cascade", 1
        try:
            await run(course)
            outcome.status = 200
        except ClientStalled:
            raise
        except GatewayError as error:
            if not course.reply.started:
                raise
            outcome.kind = error.code or "error"
            await sink.fail(error)
        finally:
            outcome.first_byte = outcome.last_byte = sink.first
            self._services.telemetry.cascaded(course.told)
        self._audits.finished(course)

    def _course(self, asked: Asked, outcome: Outcome, sink: Sink) -> Course:
        services = self._services
        # A device is the lowest stage alone: where the others are none, its rule is the only one.
        judged = [tier for tier in services.tiers[:-1] if not tier.devices]
        rule = services.rules.for_models(asked) if judged else services.rules.for_devices(asked, "")
        stream_mode = asked.options.stream_mode or services.defaults.stream_mode
        live = asked.request.stream and stream_mode == "live"
        live = live and asked.divisible and rule.method == "logprobs"
        created = int(services.wall())
        reply: Reply = (
            StreamReply(asked, sink, outcome, created)
            if asked.request.stream
            else WholeReply(asked, sink, outcome, created)
        )
        return Course(services, asked, rule, live, reply, outcome)


class _Patient:
    """The caller's sink, for one that stops reading not for ever; `first` is when it began."""

    def __init__(self, sink: Sink, services: CascadeServices, stalled_s: float) -> None:
        self._sink = sink
        self._clock = services.clock
        self._stalled_s = stalled_s
        self.first: float | None = None

    async def start(
        self, status: int, headers: Mapping[str, str], outcome: Outcome, length: int | None
    ) -> None:
        self.first = self._clock.now()
        await self._sink.start(status, headers, outcome, length)

    async def send(self, data: bytes, more: bool) -> None:
        with Watchdog(self._clock.now) as watchdog:
            watchdog.expect(self._stalled_s, _stalled)
            await self._sink.send(data, more)

    async def fail(self, error: GatewayError) -> None:
        await self._sink.fail(error)


def _stalled() -> ClientStalled:
    return ClientStalled("the client stopped reading", code="client_stalled")
