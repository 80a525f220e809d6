"""The top tier is asked; where it fails, the small answer is given after all."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from gateway.core.cascade.stop_texts import StopScanner
from gateway.errors import GatewayError, InvalidRequest
from gateway.serving.cascade.answers import AnswerPiece
from gateway.serving.cascade.held_back import HeldBackStream, send_text
from gateway.serving.cascade.state import CascadeState


async def escalate(course: CascadeState, failure: GatewayError | None) -> None:
    """`failure` is the last lower tier's. Raises GatewayError where no answer can be given."""
    flow, ascent, services = _prepare(course), course.ascent, course.services
    began = services.clock.now()
    said = False
    reason: str = "stop"
    stop: str | int | None = None
    try:
        pieces = services.upper.answer(course.asked, services.tiers[-1], ascent)
        async with aclosing(pieces):
            async for piece in pieces:
                if not said:
                    said = True
                    course.place(ascent.tier, ascent.endpoint)
                    course.reply.model = ascent.model
                    await course.reply.begin()
                    reason_told = course.told.reason or "tier-failed"
                    await course.reply.say(f"escalated {reason_told} {ascent.model}")
                await flow.send(piece, ascent.model)
                if piece.reason is not None:
                    reason, stop = piece.reason, piece.stop
                if flow.stopped:
                    reason, stop = "stop", flow.stops.stopped
                    break
    except asyncio.CancelledError:
        course.tell_upper("failed", began)
        raise
    except GatewayError as error:
        course.tell_upper("failed", began)
        await _degrade(course, flow, error, failure, said)
        return
    course.tell_upper("answered", began)
    course.told.tier = ascent.tier
    await flow.flush(ascent.model)
    if not ascent.sent_ids:
        course.upper_text = flow.text
    await course.end(ascent.model, reason, stop, None)


def _prepare(course: CascadeState) -> HeldBackStream:
    """What the small answer leaves to the tier above goes into the ascent."""
    draft, ascent, flow = course.draft, course.ascent, course.flow
    if flow is None:
        # The engine sees the whole answer: stop texts are its own matter.
        flow = course.flow = HeldBackStream(reply=course.reply, stops=StopScanner(stops=()))
        ascent.predicted = list(draft.ids) if draft is not None else []
    else:
        ascent.stops = False
        ascent.sent_ids, ascent.sent_text = list(flow.ids), flow.text
        ascent.predicted = flow.withheld()
    if draft is not None:
        ascent.tokenizer = draft.tokenizer
    ascent.below = frozenset(course.below)
    ascent.deadline_s = course.left()
    return flow


async def _degrade(
    course: CascadeState,
    flow: HeldBackStream,
    error: GatewayError,
    failure: GatewayError | None,
    said: bool,
) -> None:
    """Give the small answer, if there is one and nothing of another has been sent."""
    draft, ascent = course.draft, course.ascent
    if draft is None or not draft.reason or (said and course.reply.has_text):
        if failure is not None and isinstance(error, InvalidRequest):
            raise failure from error
        raise error
    course.told.degraded, course.told.tier = error.code, draft.tier
    course.place(draft.tier, draft.endpoint)
    if ascent.stops:
        course.reply.discard()
        await send_text(course.reply, draft.text, draft.ids, draft.model)
    else:
        sent = len(ascent.sent_text)
        rest = AnswerPiece(text=draft.text[sent:], ids=draft.ids[len(ascent.sent_ids) :])
        await flow.send(rest, draft.model)
        await flow.flush(draft.model)
        if flow.stopped:
            draft.reason, draft.stop = "stop", flow.stops.stopped
    await course.end(draft.model, draft.reason, draft.stop, draft)
