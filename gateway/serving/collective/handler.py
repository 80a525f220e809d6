"""A request for the model `tierflow-collective`, from admission to its last byte."""

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
from gateway.protocol.collective import MODEL
from gateway.serving.collective.aggregation import Final
from gateway.serving.collective.deliberation import Deliberation
from gateway.serving.collective.idempotency import claim_held
from gateway.serving.collective.options import CollectiveRequest, read
from gateway.serving.collective.preparation import (
    CollectiveDeps,
    PreparedRequest,
    check_names,
    prepare,
)
from gateway.serving.collective.reply import Conclusion, Reply, StreamReply, WholeReply, completion
from gateway.serving.collective.report import block, learned
from gateway.serving.requests.admission import Admission
from gateway.serving.requests.lifecycle import AdmissionSlot, Lifecycle, error_kind
from gateway.serving.requests.relay import Sink


class CollectiveHandler:
    """`idle_s`: seconds that a caller may take nothing of a stream."""

    def __init__(self, means: CollectiveDeps, admission: Admission, idle_s: float) -> None:
        self._with = means
        self._admission = admission
        self._idle_s = idle_s
        self._settling: set[asyncio.Task[None]] = set()

    async def answer(
        self, request: InferenceRequest, headers: Mapping[str, str], sink: Sink
    ) -> None:
        """Answer into `sink`. Raises GatewayError only while nothing has been started."""
        outcome = Outcome(request=request, model=MODEL, reason="collective", status=200)
        report = Report(mode="members")

        def finished(outcome: Outcome) -> None:
            report.outcome = outcome.kind
            self._with.telemetry.finished(outcome)
            self._with.collectives.finished(report)

        with Lifecycle(outcome, self._with.clock, finished):
            asked = read(request, self._with.policy)
            check_names(self._with, asked)
            report.mode = "self-moa" if asked.options.self_moa else "members"
            async with AdmissionSlot(self._admission, outcome):
                await self._answer(asked, sink, outcome, report)

    async def close(self) -> None:
        """What was learned last is still written."""
        if self._settling:
            await asyncio.gather(*self._settling)

    async def _answer(
        self, asked: CollectiveRequest, sink: Sink, outcome: Outcome, report: Report
    ) -> None:
        began = self._with.clock.now()
        opened = await prepare(self._with, asked, report)
        report.steps["select"] = self._with.clock.now() - began
        if opened.known.claimed.state is ClaimState.DONE:
            report.replayed = True
            await self._replay(opened, sink, outcome)
            return
        await self._deliberate(opened, sink, outcome)

    async def _deliberate(self, opened: PreparedRequest, sink: Sink, outcome: Outcome) -> None:
        id = f"chatcmpl-{self._with.new_id()}"
        reply = self._reply(opened.asked, sink, outcome, id)
        lease_s = self._with.policy.keep.lease_s
        try:
            async with claim_held(self._with.records, opened.query, lease_s):
                # Where too few members may be an error, it is to be an error's status.
                if opened.asked.options.degrade:
                    await reply.begin()
                final = await self._final(opened, reply, outcome)
        except ClientStalled:
            raise
        except GatewayError as error:
            outcome.kind = error_kind(error)
            await reply.fail(error)
            return
        conclusion = self._conclusion(opened, final, outcome)
        task = self._settle(opened, final, id, conclusion)
        if opened.query.key is not None:
            # Whoever asks again as soon as this is answered gets the same.
            await asyncio.shield(task)
        await reply.finish(conclusion)

    async def _final(self, opened: PreparedRequest, reply: Reply, outcome: Outcome) -> Final:
        with_, stored = self._with, opened.known.stored
        deliberation = Deliberation(
            asked=opened.asked,
            panel=opened.panel,
            aggregating=with_.aggregating,
            templates=with_.templates,
            policy=with_.policy,
            clock=with_.clock,
            report=opened.report,
            own=opened.own,
        )

        async def emit(text: str) -> None:
            if outcome.first_byte is None:
                outcome.first_byte = with_.clock.now()
            outcome.last_byte = with_.clock.now()
            await reply.text(text)

        async def keep() -> None:
            nonlocal stored
            stored = await with_.records.keep_round(opened.query, stored, opened.report)

        return await deliberation.run(reply.say, emit, reply.begin, keep)

    def _conclusion(self, opened: PreparedRequest, final: Final, outcome: Outcome) -> Conclusion:
        report = opened.report
        for part in report.parts:
            report.spend(part.tier, part.prompt_tokens, part.completion_tokens)
        about = block(report, final, self._with.policy.prices)
        return Conclusion(
            text=final.text, finish_reason=final.finish_reason, usage=report.usage, block=about
        )

    def _settle(
        self, opened: PreparedRequest, final: Final, id: str, conclusion: Conclusion
    ) -> asyncio.Task[None]:
        answer = None
        if opened.query.key is not None:
            answer = completion(id, int(self._with.wall()), conclusion)
        task = asyncio.create_task(
            self._with.records.settle(
                opened.query,
                opened.known,
                id,
                answer,
                opened.report,
                learned(opened.asked, opened.report, Reading(final.text)),
            )
        )
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)
        return task

    async def _replay(self, opened: PreparedRequest, sink: Sink, outcome: Outcome) -> None:
        """The stored answer once more, in the same shape."""
        body = orjson.loads(opened.known.claimed.answer or b"{}")
        usage = body["usage"]
        conclusion = Conclusion(
            text=body["choices"][0]["message"]["content"],
            finish_reason=body["choices"][0]["finish_reason"],
            usage=(usage["prompt_tokens"], usage["completion_tokens"]),
            block=body["tierflow"],
        )
        reply = self._reply(opened.asked, sink, outcome, body["id"], body["created"])
        await reply.begin()
        await reply.text(conclusion.text)
        await reply.finish(conclusion)

    def _reply(
        self,
        asked: CollectiveRequest,
        sink: Sink,
        outcome: Outcome,
        id: str,
        created: int | None = None,
    ) -> Reply:
        when = int(self._with.wall()) if created is None else created
        if not asked.request.stream:
            return WholeReply(sink=sink, outcome=outcome, id=id, created=when)
        return StreamReply(
            sink=sink,
            outcome=outcome,
            id=id,
            created=when,
            include_usage=asked.usage,
            idle_s=self._idle_s,
        )
