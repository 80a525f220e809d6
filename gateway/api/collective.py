"""Feedback on a collective's answers."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from gateway.api.caller_key import CallerGate
from gateway.api.description.responses import OF_BODIES, OF_CALLERS, OF_STATE, error_responses
from gateway.api.json_body import documented, read_body
from gateway.api.requests.request_headers import authorization_of, owner_of
from gateway.core.access.key import Identity
from gateway.protocol.requests.collective import FEEDBACK_PATH, Feedback
from gateway.serving.collective.feedback import FeedbackHandler


class FeedbackResult(BaseModel):
    """What came of a caller's feedback."""

    members: int = Field(description="whose measured quality changed")


def collective_router(gate: CallerGate, handler: FeedbackHandler) -> APIRouter:
    router, caller = APIRouter(tags=["collective"]), Depends(gate)

    @router.post(
        FEEDBACK_PATH,
        summary="How good was this answer?",
        responses=error_responses(
            *OF_CALLERS, *OF_BODIES, "unknown_answer", "already_judged", "being_judged", *OF_STATE
        ),
        openapi_extra=documented(Feedback),
    )
    async def feedback(request: Request, identity: Identity = caller) -> FeedbackResult:
        judgement = await read_body(request, Feedback)
        owner = owner_of(identity, authorization_of(request.scope))
        return FeedbackResult(members=await handler.judge(judgement.id, judgement.score, owner))

    return router
