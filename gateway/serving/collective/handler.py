"""The handler of requests for the model `tierflow-collective`, from admission to the last byte."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import orjson

from gateway.core.collective.answers import Reading
from gateway.core.collective.report import Report
from gateway.core.outcome import Outcome
from gateway.core.state.operations import ClaimState
from gateway.core.types import InferenceRequest
from gateway.errors import ClientStalled, GatewayError
from gateway.protocol.requests.collective import MODEL
from gateway.serving.chat.reply import (
    CallerSink,
    Conclusion,
    Reply,
    ReplyHead,
    completion,
    reply_to,
)
from gateway.serving.collective.aggregation import FinalAnswer
from gateway.serving.collective.deliberation import Deliberation
from gateway.serving.collective.idempotency import held_claim
from gateway.serving.collective.options import CollectiveRequest, read
from gateway.serving.collective.report import evidence, reply_block
from gateway.serving.collective.selection import (
    CollectiveDeps,
    PreparedRequest,
    check_key,
    check_names,
    check_room,
    prepare,
)
from gateway.serving.requests.admission import Admission
from gateway.serving.requests.lifecycle import AdmissionSlot, Lifecycle, error_kind
from gateway.serving.requests.relay import Sink


class CollectiveHandler:
    """The handler of collective requests. `idle_s`: seconds after which a caller that takes nothing
    of its stream is given up."""

    def __init__(self, deps: CollectiveDeps, admission: Admission, idle_s: float) -> None:
        self._deps = deps
        self._admission = admission
        self._idle_s = idle_s
        self._settling: set[asyncio.Task[None]] = set()

    async def answer(
        self, request: InferenceRequest, headers: Mapping[str, str], sink: Sink
    ) -> None:
        """Answer into `sink`. Raises GatewayError only while nothing has been started."""
        outcome = Outcome(request=request, model=MODEL, reason="collective")
        report = Report(mode="members")

        def finished(outcome: Outcome) -> None:
            report.outcome = outcome.kind
            self._deps.telemetry.finished(outcome)
            self._deps.collective_telemetry.finished(report)

        with Lifecycle(outcome, self._deps.clock, finished):
            collective_request = read(request, self._deps.policy)
            check_key(collective_request)
            check_names(self._deps, collective_request)
            check_room(self._deps, collective_request)
            report.mode = "self-moa" if collective_request.options.self_moa else "members"
            async with AdmissionSlot(self._admission, outcome):
                await self._answer(collective_request, sink, outcome, report)

    async def close(self) -> None:
        """Wait until what the last answers taught is stored."""
        if self._settling:
            await asyncio.gather(*self._settling)

    async def _answer(
        self, request: CollectiveRequest, sink: Sink, outcome: Outcome, report: Report
    ) -> None:
        began = self._deps.clock.now()
        prepared = await prepare(self._deps, request, report)
        report.steps["select"] = self._deps.clock.now() - began
        if prepared.prior.claimed.state is ClaimState.DONE:
            report.replayed = True
            await self._replay(prepared, sink, outcome)
        else:
            await self._deliberate(prepared, sink, outcome)

    async def _deliberate(self, prepared: PreparedRequest, sink: Sink, outcome: Outcome) -> None:
        deps = self._deps
        head = ReplyHead(f"chatcmpl-{deps.new_id()}", int(deps.unix_time()))
        reply = self._reply(prepared.request, sink, outcome, head)
        report = prepared.report
        reply.spent = lambda: report.usage_so_far
        claim = held_claim(
            deps.memory, prepared.keys, prepared.prior, deps.policy.retention.lease_s
        )
        try:
            async with claim as held:
                final = await self._deliberation(prepared).run(reply, held)
        except ClientStalled:
            raise
        except GatewayError as error:
            outcome.kind = error_kind(error)
            await reply.fail(error)
            return
        conclusion = self._conclusion(prepared, final)
        if prepared.request.inference.privacy.keeps:
            settled = self._settle(prepared, final, head, conclusion)
            if prepared.keys.key is not None:
                # The answer is stored first: a repetition must get the same one.
                await asyncio.shield(settled)
        await reply.finish(conclusion)

    def _deliberation(self, prepared: PreparedRequest) -> Deliberation:
        return Deliberation(
            request=prepared.request,
            proposers=prepared.proposers,
            aggregator=self._deps.aggregator,
            templates=self._deps.templates,
            policy=self._deps.policy,
            clock=self._deps.clock,
            report=prepared.report,
            own=prepared.own,
        )

    def _conclusion(self, prepared: PreparedRequest, final: FinalAnswer) -> Conclusion:
        report = prepared.report
        for contribution in report.contributions:
            report.spend(
                contribution.tier, contribution.prompt_tokens, contribution.completion_tokens
            )
        return Conclusion(
            finish_reason=final.finish_reason,
            usage=report.usage,
            tierflow=reply_block(report, final, self._deps.policy.prices),
        )

    def _settle(
        self,
        prepared: PreparedRequest,
        final: FinalAnswer,
        head: ReplyHead,
        conclusion: Conclusion,
    ) -> asyncio.Task[None]:
        """Store the answer and what it taught, in the background."""
        answer = None
        if prepared.keys.key is not None:
            answer = completion(head=head, model=MODEL, text=final.text, conclusion=conclusion)
        task = asyncio.create_task(
            self._deps.memory.settle(
                keys=prepared.keys,
                prior=prepared.prior,
                answer_id=head.id,
                answer=answer,
                report=prepared.report,
                evidence=evidence(prepared.request, prepared.report, Reading(final.text)),
            )
        )
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)
        return task

    async def _replay(self, prepared: PreparedRequest, sink: Sink, outcome: Outcome) -> None:
        """Send the stored answer once more, as a body or a stream as this request asks."""
        body = orjson.loads(prepared.prior.claimed.answer or b"{}")
        usage = body["usage"]
        conclusion = Conclusion(
            finish_reason=body["choices"][0]["finish_reason"],
            usage=(usage["prompt_tokens"], usage["completion_tokens"]),
            tierflow=body["tierflow"],
        )
        reply = self._reply(prepared.request, sink, outcome, ReplyHead(body["id"], body["created"]))
        reply.spent = lambda: conclusion.usage
        await reply.begin()
        await reply.text(body["choices"][0]["message"]["content"])
        await reply.finish(conclusion)

    def _reply(
        self, request: CollectiveRequest, sink: Sink, outcome: Outcome, head: ReplyHead
    ) -> Reply:
        caller = CallerSink(
            sink=sink, outcome=outcome, clock=self._deps.clock, stalled_s=self._idle_s
        )
        return reply_to(chat=request.chat, caller=caller, head=head, model=MODEL)
