"""The stages of a cascade: a lower one is asked and its answer judged; the top one is asked when no
lower answer was accepted."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import NamedTuple

from gateway.core.access.tiers import check_tier
from gateway.core.cascade.decision import Judgement, judge
from gateway.core.cascade.features import features, from_mean
from gateway.core.cascade.hold_back import HoldBack
from gateway.core.streams.stop_texts import StopScanner
from gateway.errors import GatewayError, InvalidRequest
from gateway.protocol.virtual_models import CASCADE
from gateway.serving.cascade.answers import AnswerPiece, LowerAnswer
from gateway.serving.cascade.held_back import HeldBackStream, send_text
from gateway.serving.cascade.options import CascadeRequest, StageSpec
from gateway.serving.cascade.state import CascadeState
from gateway.serving.chat.message_parts import said


async def ask(state: CascadeState, stage: StageSpec) -> tuple[LowerAnswer, bool]:
    """Ask a lower stage: its answer, and whether that is accepted. Raises GatewayError; what had
    come until then is the state's `lower`."""
    deps, began, remaining_s = state.deps, state.deps.clock.now(), state.remaining_s()
    # Half of the remaining time, so that the tier above has a chance as well.
    deadline_s = None if remaining_s is None else remaining_s / 2.0
    state.rule = state.models_rule
    answer = state.lower = await _answer(state, stage, deadline_s)
    if state.models_rule.method == "self-check" and not stage.devices:
        spent_s = deps.clock.now() - began
        rest_s = None if deadline_s is None else max(0.001, deadline_s - spent_s)
        await deps.probes.check(state.request, answer, rest_s)
    judgement = _judge(state, answer)
    state.note_judged(answer, judgement, began)
    if not judgement.accepted:
        state.rejected_models.add(answer.model)
        state.account.reason = judgement.reason
    return answer, judgement.accepted


async def accept(state: CascadeState, answer: LowerAnswer) -> None:
    """Give the caller this answer, or what was held back of it."""
    state.account.tier = answer.tier
    state.comes_from(answer)
    held_back = state.held_back
    if held_back is None:
        await send_text(state.reply, answer.text, answer.token_ids, answer.model, answer.parts)
    else:
        await held_back.send_withheld(answer.model)
        await held_back.finish(answer.model)
        if held_back.stopped_at is not None:
            answer.end_at(held_back.stopped_at)
    await state.finish_with_lower(answer)


async def _answer(state: CascadeState, stage: StageSpec, deadline_s: float | None) -> LowerAnswer:
    deps, request = state.deps, state.request
    if stage.devices:
        caller = request.inference.caller
        check_tier(caller.key, caller.scope, "device", CASCADE)
        answer = state.lower = deps.device_tier.choose(request, stage)
        state.rule = deps.rules.for_devices(request, answer.model)
        await deps.device_tier.fill(answer, request, stage, deadline_s)
        return answer
    if state.live:
        return await _streamed(state, stage, deadline_s)
    if state.models_rule.method == "agreement":
        samples = request.options.samples or deps.probes.settings.samples
        return await deps.probes.sampled(request, stage, deadline_s, samples)
    return await deps.lower_tier.whole(request, stage, deadline_s)


async def _streamed(state: CascadeState, stage: StageSpec, deadline_s: float | None) -> LowerAnswer:
    request, rule = state.request, state.models_rule
    held_back = state.held_back = HeldBackStream(reply=state.reply, scanner=_scanner(request))
    hold = HoldBack(model=rule.model, threshold=rule.threshold, window=rule.window)
    answer: LowerAnswer | None = None
    async with aclosing(state.deps.lower_tier.stream(request, stage, deadline_s)) as pieces:
        async for answer, piece in pieces:
            state.lower = answer
            state.comes_from(answer)
            await held_back.offer(piece, hold, answer.model)
            if held_back.stopped_at is not None:
                answer.end_at(held_back.stopped_at)
                break
    assert answer is not None, "a stream that ends properly has an answer"
    return answer


def _scanner(request: CascadeRequest) -> StopScanner:
    return StopScanner(
        stops=request.chat.stops, include=request.chat.body.include_stop_str_in_output
    )


def _judge(state: CascadeState, answer: LowerAnswer) -> Judgement:
    rule = state.rule
    if answer.logprobs:
        answer.features |= features(answer.logprobs, rule.window)
    elif answer.mean_logprob is not None:
        answer.features |= from_mean(answer.mean_logprob)
    if state.deps.is_top(answer.model):
        # The lower tier was busy or down, and the request overflowed to the top already.
        return Judgement(1.0, None)
    if state.held_back is not None and state.held_back.stopped_at is not None:
        return Judgement(rule.model.confidence(answer.features), None)
    return judge(rule.model, rule.method, answer.features, rule.threshold, length_cut=answer.cut)


class _End(NamedTuple):
    """How the top tier's answer ended."""

    finish_reason: str = "stop"
    stop_reason: str | int | None = None


async def escalate(state: CascadeState, failure: GatewayError | None) -> None:
    """Ask the top tier; where it fails, the lower answer is given after all. `failure` is that of
    the last lower stage. Raises GatewayError where no answer can be given."""
    escalation, began = state.escalation, state.deps.clock.now()
    held_back = _prepare(state)
    try:
        end = await _relay(state, held_back)
    except asyncio.CancelledError:
        state.note_escalated("failed", began)
        raise
    except GatewayError as error:
        state.note_escalated("failed", began)
        await _degrade(state, held_back, error, failure)
        return
    state.note_escalated("answered", began)
    state.account.tier = escalation.tier
    await held_back.finish(escalation.model)
    if escalation.body is not None:
        state.top_said = said(escalation.body["choices"][0]["message"])
    elif not (escalation.sent_ids or held_back.has_parts):
        state.top_said = held_back.text
    await state.finish_with_top(*end)


def _prepare(state: CascadeState) -> HeldBackStream:
    """Fill in what the lower answer leaves to the top tier."""
    lower, escalation, held_back = state.lower, state.escalation, state.held_back
    # Several engines may write the answer where one breaks, and none finds another's stop texts.
    escalation.engine_stops = not state.request.divisible
    if held_back is None:
        scanner = StopScanner(stops=()) if escalation.engine_stops else _scanner(state.request)
        held_back = state.held_back = HeldBackStream(reply=state.reply, scanner=scanner)
        escalation.predicted_ids = list(lower.token_ids) if lower is not None else []
    else:
        escalation.replaces = False
        escalation.sent_ids, escalation.sent_text = list(held_back.token_ids), held_back.text
        escalation.predicted_ids = held_back.pop_withheld_ids()
    if lower is not None:
        escalation.tokenizer = lower.tokenizer
    escalation.rejected_models = frozenset(state.rejected_models)
    escalation.deadline_s = state.remaining_s()
    return held_back


async def _relay(state: CascadeState, held_back: HeldBackStream) -> _End:
    """Relay the top tier's answer to its end."""
    deps, escalation, end = state.deps, state.escalation, _End()
    answer = deps.top_tier.answer(state.request, deps.top_stage, escalation)
    async with aclosing(answer) as pieces:
        async for piece in pieces:
            if not escalation.begun:
                escalation.begun = True
                await _announce(state)
            await held_back.send(piece, escalation.model)
            if piece.finish_reason is not None:
                end = _End(piece.finish_reason, piece.stop_reason)
            if held_back.stopped_at is not None:
                return _End("stop", held_back.stopped_at)
    return end


async def _announce(state: CascadeState) -> None:
    """Tell the caller, in a comment, that another model writes from here on."""
    escalation = state.escalation
    state.comes_from(escalation)
    state.reply.model = escalation.model
    await state.reply.begin()
    await state.reply.say(f"escalated {state.account.reason or 'tier-failed'} {escalation.model}")


async def _degrade(
    state: CascadeState,
    held_back: HeldBackStream,
    error: GatewayError,
    failure: GatewayError | None,
) -> None:
    """Give the lower answer, if there is one and nothing of the top's has been sent."""
    lower, escalation = state.lower, state.escalation
    if lower is None or not lower.finish_reason or (escalation.begun and state.reply.has_text):
        if failure is not None and isinstance(error, InvalidRequest):
            raise failure from error
        raise error
    state.account.degraded, state.account.tier = error.code, lower.tier
    state.comes_from(lower)
    if escalation.replaces:
        state.reply.discard()
        await send_text(state.reply, lower.text, lower.token_ids, lower.model, lower.parts)
    else:
        rest = AnswerPiece(
            text=lower.text[len(escalation.sent_text) :],
            token_ids=lower.token_ids[len(escalation.sent_ids) :],
        )
        await held_back.send(rest, lower.model)
        await held_back.finish(lower.model)
        if held_back.stopped_at is not None:
            lower.end_at(held_back.stopped_at)
    await state.finish_with_lower(lower)
