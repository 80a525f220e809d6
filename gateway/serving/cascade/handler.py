"""The handler of requests for the model `tierflow-cascade`, from admission to the last byte."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from gateway.core.outcome import Outcome
from gateway.core.ports import Telemetry
from gateway.core.types import InferenceRequest
from gateway.errors import ClientStalled, DeadlineExceeded, GatewayError, InvalidRequest
from gateway.protocol.virtual_models import CASCADE
from gateway.serving.cascade.audits import Audits
from gateway.serving.cascade.options import CascadeRequest, read
from gateway.serving.cascade.stages import accept, ask, escalate
from gateway.serving.cascade.state import CascadeDeps, CascadeState
from gateway.serving.chat.reply import CallerSink, ReplyHead, reply_to
from gateway.serving.requests.admission import Admission
from gateway.serving.requests.lifecycle import AdmissionSlot, Lifecycle, error_kind
from gateway.serving.requests.relay import Sink


class CascadeHandler:
    """The handler of cascade requests. `stalled_s`: seconds after which a caller that takes nothing
    of its answer is given up."""

    def __init__(
        self,
        *,
        deps: CascadeDeps,
        admission: Admission,
        telemetry: Telemetry,
        audits: Audits,
        stalled_s: float,
    ) -> None:
        self._deps = deps
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
        with Lifecycle(outcome, self._deps.clock, self._telemetry.finished):
            cascade_request = read(request)
            async with AdmissionSlot(self._admission, outcome):
                await self._answer(cascade_request, sink, outcome)

    async def _answer(self, request: CascadeRequest, sink: Sink, outcome: Outcome) -> None:
        state = self._state(request, sink, outcome)
        # The tokens are counted with the tiers that made them.
        outcome.model, outcome.reason, outcome.attempts = CASCADE, "cascade", 1
        try:
            await ask_stages(state)
        except ClientStalled:
            raise
        except GatewayError as error:
            outcome.kind = error_kind(error)
            await state.reply.fail(error)
        finally:
            self._deps.telemetry.cascaded(state.account)
        self._audits.finished(state)

    def _state(self, request: CascadeRequest, sink: Sink, outcome: Outcome) -> CascadeState:
        deps = self._deps
        # Where devices are the only lower stage, their rule is the only one.
        with_models = any(not stage.devices for stage in deps.lower_stages)
        rules = deps.rules
        rule = rules.for_models(request) if with_models else rules.for_devices(request, "")
        stream_mode = request.options.stream_mode or deps.defaults.stream_mode
        live = request.inference.stream and stream_mode == "live"
        return CascadeState(
            deps=deps,
            request=request,
            models_rule=rule,
            live=live and request.divisible and rule.method == "logprobs",
            reply=reply_to(
                chat=request.chat,
                caller=CallerSink(
                    sink=sink, outcome=outcome, clock=deps.clock, stalled_s=self._stalled_s
                ),
                head=ReplyHead(f"chatcmpl-{request.inference.id}", int(deps.unix_time())),
                model=CASCADE,
            ),
            outcome=outcome,
        )


async def ask_stages(state: CascadeState) -> None:
    """Ask the lower stages in turn until an answer is accepted, and then the top. Raises
    GatewayError while nothing has been sent, and UpstreamError after."""
    failure: GatewayError | None = None
    for stage in state.deps.lower_stages:
        before, began = state.lower, state.deps.clock.now()
        try:
            answer, accepted = await ask(state, stage)
        except (asyncio.CancelledError, ClientStalled):
            # The caller has left; the tokens that were made for it count all the same.
            state.note_failed(stage, before, began)
            raise
        except InvalidRequest as error:
            # Every stage would refuse it, except for demands that only another tier can meet.
            if error.code != "demand_not_met":
                raise
            failure = error
        except GatewayError as error:
            failure = error
            late = isinstance(error, DeadlineExceeded)
            state.account.reason = "deadline" if late else "tier-failed"
            state.note_failed(stage, before, began)
        else:
            if accepted:
                await accept(state, answer)
                return
        if state.held_back is not None and state.held_back.begun:
            break
    await escalate(state, failure)
