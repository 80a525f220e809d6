"""`tierflow-cascade` from admission to the last byte."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.core.outcome import Outcome
from gateway.core.ports import Telemetry
from gateway.core.types import InferenceRequest
from gateway.errors import ClientStalled, GatewayError
from gateway.serving.cascade.audits import Audits
from gateway.serving.cascade.options import NAME, CascadeRequest, read
from gateway.serving.cascade.services import CascadeDeps
from gateway.serving.cascade.state import CascadeState
from gateway.serving.cascade.tiers import run
from gateway.serving.chat.reply import CallerSink, reply_to
from gateway.serving.requests.admission import Admission
from gateway.serving.requests.lifecycle import AdmissionSlot, Lifecycle, error_kind
from gateway.serving.requests.relay import Sink


class CascadeHandler:
    """`stalled_s`: seconds that a caller may leave its answer unread."""

    def __init__(
        self,
        *,
        services: CascadeDeps,
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
        outcome = Outcome(request=request)
        with Lifecycle(outcome, self._services.clock, self._telemetry.finished):
            asked = read(request)
            async with AdmissionSlot(self._admission, outcome):
                await self._answer(asked, outcome, sink)

    async def _answer(self, asked: CascadeRequest, outcome: Outcome, sink: Sink) -> None:
        course = self._course(asked, outcome, sink)
        # Its tokens are counted with the tiers that made them.
        outcome.model, outcome.reason, outcome.attempts = NAME, "cascade", 1
        try:
            await run(course)
            outcome.status = 200
        except ClientStalled:
            raise
        except GatewayError as error:
            outcome.kind = error_kind(error)
            await course.reply.fail(error)
        finally:
            self._services.telemetry.cascaded(course.told)
        self._audits.finished(course)

    def _course(self, asked: CascadeRequest, outcome: Outcome, sink: Sink) -> CascadeState:
        services = self._services
        # A device is the lowest stage alone: where the others are none, its rule is the only one.
        judged = [tier for tier in services.tiers[:-1] if not tier.devices]
        rule = services.rules.for_models(asked) if judged else services.rules.for_devices(asked, "")
        stream_mode = asked.options.stream_mode or services.defaults.stream_mode
        live = asked.request.stream and stream_mode == "live"
        live = live and asked.divisible and rule.method == "logprobs"
        reply = reply_to(
            asked.chat,
            CallerSink(sink, services.clock, self._stalled_s),
            outcome,
            id=f"chatcmpl-{asked.request.id}",
            created=int(services.wall()),
            model=NAME,
        )
        return CascadeState(
            services=services, asked=asked, by_models=rule, live=live, reply=reply, outcome=outcome
        )
