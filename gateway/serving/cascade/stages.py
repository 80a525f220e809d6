"""A lower tier is asked, its answer judged, and given where it is accepted."""

from __future__ import annotations

from contextlib import aclosing

from gateway.core.cascade.decision import Judgement, judge
from gateway.core.cascade.features import features, from_mean
from gateway.core.cascade.hold_back import HoldBack
from gateway.core.cascade.stop_texts import StopScanner
from gateway.serving.cascade.answers import LowerAnswer
from gateway.serving.cascade.held_back import HeldBackStream, send_text
from gateway.serving.cascade.lower_tier import StageSpec
from gateway.serving.cascade.state import CascadeState


async def attempt(course: CascadeState, tier: StageSpec) -> tuple[LowerAnswer, bool]:
    """Ask one tier; its answer, and whether that is accepted. Raises GatewayError; what came until
    then is the course's draft."""
    services, began, left = course.services, course.services.clock.now(), course.left()
    # Half of what is left, so that the tier above has a chance as well.
    deadline = None if left is None else left / 2.0
    course.rule = course.by_models
    draft = course.draft = await _drafted(course, tier, deadline)
    if course.by_models.method == "self-check" and not tier.devices:
        taken = services.clock.now() - began
        rest = None if deadline is None else max(0.001, deadline - taken)
        await services.judges.checked(course.asked, draft, rest)
    judgement = _judge(course, draft)
    course.tell_judged(draft, judgement, began)
    if not judgement.accepted:
        course.below.add(draft.model)
        course.told.reason = judgement.reason
    return draft, judgement.accepted


async def accept(course: CascadeState, draft: LowerAnswer) -> None:
    """Give the caller this answer, or what is withheld of it."""
    course.told.tier = draft.tier
    course.place(draft.tier, draft.endpoint)
    flow = course.flow
    if flow is not None:
        await flow.rest(draft.model)
        await flow.flush(draft.model)
        if flow.stopped:
            draft.reason, draft.stop = "stop", flow.stops.stopped
    else:
        await send_text(course.reply, draft.text, draft.ids, draft.model)
    await course.end(draft.model, draft.reason or "stop", draft.stop, draft)


async def _drafted(course: CascadeState, tier: StageSpec, deadline: float | None) -> LowerAnswer:
    services, asked = course.services, course.asked
    if tier.devices:
        draft = course.draft = services.devices.begin(tier)
        course.rule = services.rules.for_devices(asked, draft.model)
        await services.devices.finish(draft, asked, tier, deadline)
        return draft
    if course.live:
        return await _streamed(course, tier, deadline)
    if course.by_models.method == "agreement":
        samples = asked.options.samples or services.judges.how.samples
        return await services.judges.sampled(asked, tier, deadline, samples)
    return await services.lower.whole(asked, tier, deadline)


async def _streamed(course: CascadeState, tier: StageSpec, deadline: float | None) -> LowerAnswer:
    asked, rule = course.asked, course.rule
    flow = course.flow = HeldBackStream(
        reply=course.reply, stops=StopScanner(stops=asked.stops, include=asked.include_stop)
    )
    hold = HoldBack(model=rule.model, threshold=rule.threshold, window=rule.window)
    draft: LowerAnswer | None = None
    pieces = course.services.lower.stream(asked, tier, deadline)
    async with aclosing(pieces):
        async for draft, piece in pieces:
            course.draft = draft
            course.place(draft.tier, draft.endpoint)
            await flow.offer(piece, hold, draft.model)
            if flow.stopped:
                draft.reason, draft.stop = "stop", flow.stops.stopped
                break
    assert draft is not None, "a stream that ends properly has an answer"
    return draft


def _judge(course: CascadeState, draft: LowerAnswer) -> Judgement:
    rule = course.rule
    if draft.logprobs:
        draft.values |= features(draft.logprobs, rule.window)
    elif draft.mean_logprob is not None:
        draft.values |= from_mean(draft.mean_logprob)
    if course.services.is_top(draft.model):
        # The lower tier was busy or down, and the request went over to the top already.
        return Judgement(1.0, None)
    if course.flow is not None and course.flow.stopped:
        return Judgement(rule.model.confidence(draft.values), None)
    return judge(rule.model, rule.method, draft.values, rule.threshold, length_cut=draft.cut)
