"""One request's way through the tiers."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field

from gateway.core.cascade.agreement import final
from gateway.core.cascade.decision import Judgement, judge
from gateway.core.cascade.features import features, from_mean
from gateway.core.cascade.ports import CascadeOutcome
from gateway.core.cascade.stops import StopWatch
from gateway.core.cascade.streaming import HoldBack
from gateway.core.outcome import Outcome
from gateway.errors import ClientStalled, DeadlineExceeded, GatewayError, InvalidRequest
from gateway.serving.cascade.account import account, climbed, failed, judged, usage
from gateway.serving.cascade.answer import Draft, Piece
from gateway.serving.cascade.ascent import Ascent
from gateway.serving.cascade.asked import Asked
from gateway.serving.cascade.flow import Flow
from gateway.serving.cascade.lower import Tier
from gateway.serving.cascade.reply import End, Reply
from gateway.serving.cascade.rules import Rule
from gateway.serving.cascade.services import CascadeServices


@dataclass(slots=True)
class Course:
    """`run` it once. What is `told` of the request is complete when it has ended.

    `by_models` judges the answers of models; `rule` is the one that judged last.
    """

    services: CascadeServices
    asked: Asked
    by_models: Rule
    live: bool
    reply: Reply
    outcome: Outcome
    told: CascadeOutcome = field(default_factory=CascadeOutcome)
    rule: Rule = field(init=False)
    draft: Draft | None = None
    upper_text: str | None = None
    _below: set[str] = field(default_factory=set)
    _flow: Flow | None = None
    _ascent: Ascent = field(default_factory=Ascent)

    def __post_init__(self) -> None:
        self.rule = self.by_models

    async def run(self) -> None:
        """Raises GatewayError while nothing has been sent, and UpstreamError after."""
        failure: GatewayError | None = None
        for tier in self.services.tiers[:-1]:
            before, began = self.draft, self.services.clock.now()
            try:
                draft, accepted = await self._lower(tier)
            except (asyncio.CancelledError, ClientStalled):
                # Nobody listens any more; what was made for it counts all the same.
                self._tell_failed(tier, before, began)
                raise
            except InvalidRequest as error:
                # Every tier would refuse it, but for the demands on a tier.
                if error.code != "demand_not_met":
                    raise
                failure = error
            except GatewayError as error:
                failure = error
                late = isinstance(error, DeadlineExceeded)
                self.told.reason = "deadline" if late else "tier-failed"
                self._tell_failed(tier, before, began)
            else:
                if accepted:
                    await self._accept(draft)
                    return
            if self._flow is not None and self._flow.begun:
                break
        await self._upper(self.services.tiers[-1], failure)

    async def _lower(self, tier: Tier) -> tuple[Draft, bool]:
        """Ask one tier; its answer, and whether that is accepted."""
        began = self.services.clock.now()
        left = self._left()
        # Half of what is left, so that the tier above has a chance as well.
        deadline = None if left is None else left / 2.0
        method = self.by_models.method
        self.rule = self.by_models
        if self.live and not tier.devices:
            draft = await self._streamed(tier, deadline)
        elif tier.devices:
            draft = self.draft = self.services.devices.begin(tier)
            self.rule = self.services.rules.for_devices(self.asked, draft.model)
            await self.services.devices.finish(draft, self.asked, tier, deadline)
        elif method == "agreement":
            samples = self.asked.options.samples or self.services.judges.how.samples
            draft = await self.services.judges.sampled(self.asked, tier, deadline, samples)
        else:
            draft = await self.services.lower.whole(self.asked, tier, deadline)
        self.draft = draft
        if method == "self-check" and not tier.devices:
            taken = self.services.clock.now() - began
            rest = None if deadline is None else max(0.001, deadline - taken)
            await self.services.judges.checked(self.asked, draft, rest)
        judgement = self._judge(draft)
        self._tell(draft, judgement, self.services.clock.now() - began)
        if not judgement.accepted:
            self._below.add(draft.model)
            self.told.reason = judgement.reason
        return draft, judgement.accepted

    async def _streamed(self, tier: Tier, deadline: float | None) -> Draft:
        flow = self._flow = Flow(self.reply, StopWatch(self.asked.stops, self.asked.include_stop))
        hold = HoldBack(self.rule.model, self.rule.threshold, self.rule.window)
        draft: Draft | None = None
        pieces = self.services.lower.stream(self.asked, tier, deadline)
        async with aclosing(pieces):
            async for draft, piece in pieces:
                self.draft = draft
                self._place(draft.tier, draft.endpoint)
                await flow.offer(piece, hold, draft.model)
                if flow.stopped:
                    draft.reason, draft.stop = "stop", flow.stops.stopped
                    break
        assert draft is not None, "a stream that ends properly has an answer"
        return draft

    def _judge(self, draft: Draft) -> Judgement:
        rule = self.rule
        if draft.logprobs:
            draft.values |= features(draft.logprobs, rule.window)
        elif draft.mean_logprob is not None:
            draft.values |= from_mean(draft.mean_logprob)
        if self.services.is_top(draft.model):
            # The lower tier was busy or down, and the request went over to the top already.
            return Judgement(1.0, None)
        if self._flow is not None and self._flow.stopped:
            return Judgement(rule.model.confidence(draft.values), None)
        return judge(rule.model, rule.method, draft.values, rule.threshold, length_cut=draft.cut)

    async def _accept(self, draft: Draft) -> None:
        self.told.tier = draft.tier
        self._place(draft.tier, draft.endpoint)
        if self._flow is not None:
            await self._flow.rest(draft.model)
            await self._flow.flush(draft.model)
            if self._flow.stopped:
                draft.reason, draft.stop = "stop", self._flow.stops.stopped
        else:
            await self.reply.put(draft.text, draft.ids, draft.model)
        await self._end(draft.model, draft.reason or "stop", draft.stop, draft)

    async def _upper(self, top: Tier, failure: GatewayError | None) -> None:
        flow, ascent = self._prepare()
        began = self.services.clock.now()
        said = False
        reason: str = "stop"
        stop: str | int | None = None
        try:
            pieces = self.services.upper.answer(self.asked, top, ascent)
            async with aclosing(pieces):
                async for piece in pieces:
                    if not said:
                        said = True
                        self._place(ascent.tier, ascent.endpoint)
                        await self.reply.escalated(self.told.reason or "tier-failed", ascent.model)
                    await flow.send(piece, ascent.model)
                    if piece.reason is not None:
                        reason, stop = piece.reason, piece.stop
                    if flow.stopped:
                        reason, stop = "stop", flow.stops.stopped
                        break
        except asyncio.CancelledError:
            self._tell_upper(ascent, "failed", began)
            raise
        except GatewayError as error:
            self._tell_upper(ascent, "failed", began)
            await self._degrade(error, failure, said)
            return
        self._tell_upper(ascent, "answered", began)
        self.told.tier = ascent.tier
        await flow.flush(ascent.model)
        if not ascent.sent_ids:
            self.upper_text = flow.text
        await self._end(ascent.model, reason, stop, None)

    def _prepare(self) -> tuple[Flow, Ascent]:
        """What the small answer leaves to the tier above."""
        draft, ascent = self.draft, self._ascent
        flow = self._flow
        if flow is None:
            # The engine sees the whole answer: stop texts are its own matter.
            flow = Flow(self.reply, StopWatch(()))
            ascent.predicted = list(draft.ids) if draft is not None else []
        else:
            ascent.stops = False
            ascent.sent_ids, ascent.sent_text = list(flow.ids), flow.text
            ascent.predicted = flow.withheld()
        if draft is not None:
            ascent.tokenizer = draft.tokenizer
        ascent.below = frozenset(self._below)
        ascent.deadline_s = self._left()
        self._flow = flow
        return flow, ascent

    async def _degrade(self, error: GatewayError, failure: GatewayError | None, said: bool) -> None:
        """Give the small answer, if there is one and nothing of another has been sent."""
        draft = self.draft
        if draft is None or not draft.reason or (said and self.reply.begun):
            if failure is not None and isinstance(error, InvalidRequest):
                raise failure from error
            raise error
        self.told.degraded, self.told.tier = error.code or "error", draft.tier
        self._place(draft.tier, draft.endpoint)
        ascent, flow = self._ascent, self._flow
        if flow is None or ascent.stops:
            self.reply.discard()
            await self.reply.put(draft.text, draft.ids, draft.model)
        else:
            sent = len(ascent.sent_text)
            rest = Piece(draft.text[sent:], draft.ids[len(ascent.sent_ids) :])
            await flow.send(rest, draft.model)
            await flow.flush(draft.model)
            if flow.stopped:
                draft.reason, draft.stop = "stop", flow.stops.stopped
        await self._end(draft.model, draft.reason, draft.stop, draft)

    def _place(self, tier: str, endpoint: str) -> None:
        """What headers and metrics tell: where the answer comes from, as far as that is known."""
        self.outcome.tier, self.outcome.endpoint = tier, endpoint

    def _left(self) -> float | None:
        """Seconds until the caller's own deadline; None: it has none."""
        deadline = self.asked.request.demands.deadline_s
        if deadline is None:
            return None
        left = deadline - (self.services.clock.now() - self.asked.request.received)
        return max(0.001, left)

    def _tell(self, draft: Draft, judgement: Judgement, seconds: float) -> None:
        top = self.services.is_top(draft.model)
        self.told.stages.append(judged(draft, judgement, seconds, top=top))

    def _tell_upper(self, ascent: Ascent, decision: str, began: float) -> None:
        seconds = self.services.clock.now() - began
        self.told.predicted, self.told.kept = ascent.offered, ascent.kept
        self.told.stages.append(climbed(ascent, decision, seconds, self.services.tiers[-1].model))

    def _tell_failed(self, tier: Tier, before: Draft | None, began: float) -> None:
        """`before` is the draft that there was before this tier was asked."""
        draft = None if self.draft is before else self.draft
        seconds = self.services.clock.now() - began
        self.told.stages.append(failed(tier.name, draft, seconds))

    async def _end(
        self, model: str, reason: str, stop: str | int | None, draft: Draft | None
    ) -> None:
        prediction = self._ascent.how if self._ascent.model else None
        about = account(
            self.told,
            self.rule.method,
            self.rule.threshold,
            prediction,
            self.asked.options.features,
        )
        await self.reply.end(End(reason, stop, usage(self.told), about, model, draft))

    def agreed(self) -> bool | None:
        """Whether the tiers said the same; None where one of them was not heard whole."""
        if self.draft is None or self.upper_text is None or not self.draft.reason:
            return None
        lead = self.services.judges.how.lead
        return final(self.draft.text, lead) == final(self.upper_text, lead)
