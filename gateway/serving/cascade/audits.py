"""What is kept of requests for calibration, and the audits that make it known.

Only a numbers' story: no text of a question or an answer leaves here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from gateway.core.cascade.audit_weights import DONE, MISSED
from gateway.core.final_answer import answer_key
from gateway.errors import GatewayError
from gateway.serving.cascade.answers import LowerAnswer
from gateway.serving.cascade.lower_tier import demands_of
from gateway.serving.cascade.services import CascadeDeps
from gateway.serving.cascade.state import CascadeState
from gateway.serving.requests.engine_calls import EngineCall, EngineCalls, EngineReply

ACCEPTED, ESCALATED = "accepted", "escalated"
MOST_AT_ONCE = 8
"""Audits under way; further ones are left out."""


class Audits:
    """Of answers of which nobody knows whether the top tier agrees, a share is drawn by chance, and
    the top is asked for its own in the background: of those that were accepted, and of those that
    the top only went on with, or failed to."""

    def __init__(self, services: CascadeDeps, calls: EngineCalls) -> None:
        self._services = services
        self._calls = calls
        self._running: set[asyncio.Task[None]] = set()

    def finished(self, course: CascadeState) -> None:
        """A request has been answered."""
        draft = course.draft
        if draft is None or not draft.values:
            return
        agreed = course.agreed()
        if agreed is not None or not self._drawn(draft):
            self._log(course, draft, agreed)
            return
        if len(self._running) >= MOST_AT_ONCE:
            self._log(course, draft, None, MISSED)
            return
        task = asyncio.create_task(self._audit(course, draft))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def stop(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _drawn(self, draft: LowerAnswer) -> bool:
        services = self._services
        if services.is_top(draft.model) or not draft.reason:
            return False
        return services.uniform() < services.defaults.audit_share

    async def _audit(self, course: CascadeState, draft: LowerAnswer) -> None:
        asked = course.asked
        body = asked.fields()
        if asked.most is not None:
            body["max_tokens"] = asked.most
        top = self._services.tiers[-1].model
        call = EngineCall(
            parent=asked.request, part="audit", model=top, body=body, demands=demands_of(asked)
        )
        try:
            answered = await self._calls.whole(call)
        except GatewayError:
            answered = None
        if answered is None or not self._services.is_top(answered.model):
            # The top was busy, and a tier below it answered: that tells nothing.
            self._log(course, draft, None, MISSED)
            return
        lead = self._services.judges.how.lead
        choices = answered.body.get("choices") or [{}]
        text = str((choices[0].get("message") or {}).get("content") or "")
        agreed = answer_key(text, lead) == answer_key(draft.text, lead)
        if course.told.reason is None:
            self._services.telemetry.audited(agreed)
        self._log(course, draft, agreed, DONE, answered)

    def _log(
        self,
        course: CascadeState,
        draft: LowerAnswer,
        agreed: bool | None,
        audit: str | None = None,
        answered: EngineReply | None = None,
    ) -> None:
        """`audit`: what became of it, for an answer that was drawn, and stands for others that were
        not; `answered`: what the top said to it."""
        if self._services.log is None:
            return
        told = course.told
        stage = told.stages[-1] if told.reason is not None and told.stages else None
        upper = stage.model if stage is not None else None
        tokens = stage.tokens if stage is not None else 0
        if answered is not None:
            # A whole answer's, where the top has only gone on with one.
            upper = answered.model
            tokens = int((answered.body.get("usage") or {}).get("completion_tokens") or 0)
        entry: Mapping[str, Any] = {
            "version": 1,
            "lower": draft.model,
            "upper": upper,
            "method": course.rule.method,
            "threshold": course.rule.threshold,
            "confidence": course.rule.model.confidence(draft.values),
            "decision": _decision(course),
            "reason": told.reason,
            "degraded": told.degraded,
            "features": draft.values,
            "window": course.rule.window,
            "weight": 1.0 / self._services.defaults.audit_share if audit is not None else 1.0,
            "audit": audit,
            "agreed": agreed,
            "lower_tokens": draft.tokens,
            "upper_tokens": tokens,
        }
        self._services.log.write(entry)


def _decision(course: CascadeState) -> str:
    return ACCEPTED if course.told.reason is None else ESCALATED
