"""Feedback on a collective's answers."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from gateway.protocol.collective import FEEDBACK_PATH, Feedback
from gateway.protocol.openai import ErrorBody
from gateway.serving.collective.feedback import FeedbackHandler


class FeedbackResult(BaseModel):
    """What came of a caller's feedback."""

    members: int = Field(description="whose measured quality changed")


def collective_router(handler: FeedbackHandler) -> APIRouter:
    router = APIRouter(tags=["collective"])
    errors = {status: {"model": ErrorBody} for status in (400, 409, 503)}

    @router.post(FEEDBACK_PATH, summary="How good was this answer?", responses=errors)  # type: ignore[arg-type]
    async def feedback(judgement: Feedback) -> FeedbackResult:
        return FeedbackResult(members=await handler.judge(judgement.id, judgement.score))

    return router
