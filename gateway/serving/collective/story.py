"""A request for the model `tierflow-collective`, from admission to its last byte."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import orjson

from gateway.core.collective.answers import Reading
from gateway.core.collective.report import Report
from gateway.core.collective.templates import Templates
from gateway.core.outcome import Outcome
from gateway.core.ports import Callers, Clock, CollectiveTelemetry, Members, Telemetry
from gateway.core.state.operations import ClaimState
from gateway.core.types import InferenceRequest
from gateway.errors import ClientStalled, GatewayError, InvalidRequest, StateLost, UnknownModel
from gateway.protocol.collective import MODEL
from gateway.serving.admission import Admission
from gateway.serving.collective.aggregating import Aggregating, Final, Served
from gateway.serving.collective.asked import Asked, read
from gateway.serving.collective.blocks import block, shares
from gateway.serving.collective.choosing import closest, eligible, select
from gateway.serving.collective.claim import holding, refuse_second
from gateway.serving.collective.deliberation import Deliberation
from gateway.serving.collective.fit import Fitting
from gateway.serving.collective.panel import DevicePanel, Panel, SamplePanel
from gateway.serving.collective.policy import Policy
from gateway.serving.collective.records import Known, Query, Records, hashed
from gateway.serving.collective.replying import (
    Conclusion,
    Reply,
    StreamReply,
    WholeReply,
    completion,
)
from gateway.serving.inference import Sink
from gateway.serving.server_calls import ServerCalls


@dataclass(frozen=True, slots=True)
class Means:
    """What a collective works with. `wall` is Unix time in seconds, `new_id` 32 hex digits that
    nobody can guess; `served` as in `aggregating`."""

    members: Members
    callers: Callers
    calls: ServerCalls
    records: Records
    fitting: Fitting
    aggregating: Aggregating
    templates: Templates
    served: Served
    policy: Policy
    clock: Clock
    telemetry: Telemetry
    collectives: CollectiveTelemetry
    wall: Callable[[], float]
    new_id: Callable[[], str]


@dataclass(frozen=True, slots=True)
class _Opened:
    """A request that may begin. `own`: the asking device whose own answer is wanted, or none."""

    asked: Asked
    query: Query
    known: Known
    panel: Panel
    own: str
    report: Report


class Collective:
    """`idle_s`: seconds that a caller may take nothing of a stream."""

    def __init__(self, means: Means, admission: Admission, idle_s: float) -> None:
        self._with = means
        self._admission = admission
        self._idle_s = idle_s
        self._settling: set[asyncio.Task[None]] = set()

    async def answer(
        self, request: InferenceRequest, headers: Mapping[str, str], sink: Sink
    ) -> None:
        """Answer into `sink`. Raises GatewayError only while nothing has been started."""
        outcome = Outcome(request, model=MODEL, reason="collective", status=200)
        report = Report("members")
        try:
            asked = read(request, self._with.policy)
            self._check_names(asked)
            report.mode = "self-moa" if asked.options.self_moa else "members"
            outcome.queue_s = await self._admission.enter()
            try:
                await self._inside(asked, sink, outcome, report)
            finally:
                self._admission.leave()
        except asyncio.CancelledError:
            outcome.kind = "cancelled"
            raise
        except GatewayError as error:
            outcome.kind = error.code or "error"
            raise
        finally:
            outcome.finished = self._with.clock.now()
            report.outcome = outcome.kind
            self._with.telemetry.finished(outcome)
            self._with.collectives.finished(report)

    async def close(self) -> None:
        """What was learned last is still written."""
        if self._settling:
            await asyncio.gather(*self._settling)

    def _check_names(self, asked: Asked) -> None:
        options, moa = asked.options, asked.options.self_moa
        models = {"aggregator": options.aggregator}
        if moa is not None and not moa.device:
            models["self_moa.model"] = moa.proposer
        for name, model in models.items():
            if self._with.served(model) is None:
                where = f"tierflow.collective.{name}"
                raise UnknownModel(
                    f"{where}: no such model; GET /v1/models lists them",
                    param=where,
                    code="model_not_found",
                )
        known = self._with.templates.by_id
        if options.template is not None and options.template not in known:
            where = "tierflow.collective.template"
            raise InvalidRequest(
                f"{where}: unknown; there are {', '.join(sorted(known))}",
                param=where,
                code="unknown_template",
            )

    async def _inside(self, asked: Asked, sink: Sink, outcome: Outcome, report: Report) -> None:
        began = self._with.clock.now()
        opened = await self._open(asked, report)
        report.steps["select"] = self._with.clock.now() - began
        if opened.known.claimed.state is ClaimState.DONE:
            report.replayed = True
            await self._replay(opened, sink, outcome)
            return
        async with holding(self._with.records, opened.query, self._with.policy.keep.lease_s):
            await self._deliberate(opened, sink, outcome)

    async def _open(self, asked: Asked, report: Report) -> _Opened:
        """Step 1. All that is asked of the store before the work is asked at once."""
        with_, options = self._with, asked.options
        device, owner = await self._caller(asked)
        own = device if options.final_own else ""
        members = [] if options.self_moa else eligible(with_.members, options.pick, owner)
        fit = await with_.fitting.fit(asked.question, members)
        members = closest(members, fit, own)
        report.domain = fit.domain
        query = self._query(asked, fit.domain, [m.id for m in members])
        known = await with_.records.recall(query)
        refuse_second(known)
        if known.claimed.state is ClaimState.TAKEN_OVER and known.parts:
            report.resumed, report.parts = True, list(known.parts)
        max_chars = with_.policy.max_answer_chars
        panel: Panel
        if options.self_moa is not None:
            panel = SamplePanel(
                with_.calls, with_.members, asked, options.self_moa, max_chars, owner
            )
        else:
            selection = select(asked, members, fit, known, with_.policy, own)
            panel = DevicePanel(with_.members, selection, asked, max_chars, owner)
        return _Opened(asked, query, known, panel, own, report)

    async def _caller(self, asked: Asked) -> tuple[str, str]:
        authorization = asked.request.caller.authorization
        found = None
        if authorization:
            try:
                found = await self._with.callers.callers_owner(authorization)
            except StateLost:
                self._with.collectives.state_lost("caller")
        if found is None and asked.options.final_own:
            raise InvalidRequest(
                "tierflow.collective.final: own is for a device; send its token as "
                "`Authorization: Bearer …`",
                param="tierflow.collective.final",
                code="invalid_caller",
            )
        return found or ("", "")

    def _query(self, asked: Asked, domain: str, devices: list[str]) -> Query:
        request = asked.request
        caller = hashed(request.caller.authorization)
        key, session = request.caller.idempotency_key, request.demands.session
        return Query(
            domain,
            devices,
            caller,
            self._with.new_id(),
            None if session is None else hashed(caller, session),
            None if key is None else hashed(caller, key),
            "" if key is None else hashed(request.path, request.body.decode("utf-8", "replace")),
        )

    async def _deliberate(self, opened: _Opened, sink: Sink, outcome: Outcome) -> None:
        id = f"chatcmpl-{self._with.new_id()}"
        reply = self._reply(opened.asked, sink, outcome, id)
        # Where too few members may be an error, it is to be an error's status.
        if opened.asked.options.degrade:
            await reply.begin()
        try:
            final = await self._final(opened, reply, outcome)
        except ClientStalled:
            raise
        except GatewayError as error:
            outcome.kind = error.code or "error"
            await reply.fail(error)
            await self._with.records.give_up(opened.query)
            return
        conclusion = self._conclusion(opened, final, outcome)
        task = self._settle(opened, final, id, conclusion)
        if opened.query.key is not None:
            # Whoever asks again as soon as this is answered gets the same.
            await asyncio.shield(task)
        await reply.finish(conclusion)

    async def _final(self, opened: _Opened, reply: Reply, outcome: Outcome) -> Final:
        with_, stored = self._with, opened.known.stored
        deliberation = Deliberation(
            opened.asked,
            opened.panel,
            with_.aggregating,
            with_.templates,
            with_.policy,
            with_.clock,
            opened.report,
            opened.own,
        )

        async def emit(text: str) -> None:
            if outcome.first_byte is None:
                outcome.first_byte = with_.clock.now()
            outcome.last_byte = with_.clock.now()
            await reply.text(text)

        async def keep(parts: object) -> None:
            nonlocal stored
            stored = await with_.records.keep_round(opened.query, stored, opened.report.parts)

        return await deliberation.run(reply.say, emit, reply.begin, keep)

    def _conclusion(self, opened: _Opened, final: Final, outcome: Outcome) -> Conclusion:
        report = opened.report
        for part in report.parts:
            report.spend(part.tier, part.prompt_tokens, part.completion_tokens)
        about = block(report, final, self._with.policy.prices)
        return Conclusion(final.text, final.finish_reason, report.usage, about)

    def _settle(
        self, opened: _Opened, final: Final, id: str, conclusion: Conclusion
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
                opened.report.parts,
                shares(opened.report, Reading(final.text)),
            )
        )
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)
        return task

    async def _replay(self, opened: _Opened, sink: Sink, outcome: Outcome) -> None:
        """The stored answer once more, in the same shape."""
        body = orjson.loads(opened.known.claimed.answer or b"{}")
        usage = body["usage"]
        conclusion = Conclusion(
            body["choices"][0]["message"]["content"],
            body["choices"][0]["finish_reason"],
            (usage["prompt_tokens"], usage["completion_tokens"]),
            body["tierflow"],
        )
        reply = self._reply(opened.asked, sink, outcome, body["id"], body["created"])
        await reply.begin()
        await reply.text(conclusion.text)
        await reply.finish(conclusion)

    def _reply(
        self, asked: Asked, sink: Sink, outcome: Outcome, id: str, created: int | None = None
    ) -> Reply:
        when = int(self._with.wall()) if created is None else created
        if not asked.request.stream:
            return WholeReply(sink, outcome, id, when)
        return StreamReply(sink, outcome, id, when, asked.usage, self._idle_s)
