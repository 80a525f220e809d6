"""What is kept of requests for calibration, and the audits that make it known.

Only a numbers' story: no text of a question or an answer leaves here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from gateway.core.cascade.agreement import final
from gateway.errors import GatewayError
from gateway.serving.cascade.answer import Draft
from gateway.serving.cascade.course import Course
from gateway.serving.cascade.lower import demands_of
from gateway.serving.cascade.services import CascadeServices
from gateway.serving.server_calls import Call, ServerCalls

MOST_AT_ONCE = 8
"""Audits under way; further ones are left out."""


class Audits:
    """Of accepted answers a share, drawn by chance, is asked of the top tier in the background."""

    def __init__(self, services: CascadeServices, calls: ServerCalls) -> None:
        self._services = services
        self._calls = calls
        self._running: set[asyncio.Task[None]] = set()

    def finished(self, course: Course) -> None:
        """A request has been answered."""
        draft = course.draft
        if draft is None or not draft.values:
            return
        if course.told.reason is not None:
            self._log(course, draft, course.agreed())
        elif self._drawn(course):
            task = asyncio.create_task(self._audit(course, draft))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        else:
            self._log(course, draft, None)

    async def stop(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    @property
    def _share(self) -> float:
        """An audited answer stands for all those that were not drawn."""
        return self._services.defaults.audit_share or 1.0

    def _drawn(self, course: Course) -> bool:
        services = self._services
        if services.is_top(course.draft.model if course.draft else ""):
            return False
        drawn = services.uniform() < services.defaults.audit_share
        return drawn and len(self._running) < MOST_AT_ONCE

    async def _audit(self, course: Course, draft: Draft) -> None:
        asked = course.asked
        body = asked.fields()
        if asked.most is not None:
            body["max_tokens"] = asked.most
        top = self._services.tiers[-1].model
        call = Call(asked.request, "audit", top, body, demands=demands_of(asked))
        agreed, tokens = None, 0
        try:
            answered = await self._calls.whole(call)
        except GatewayError:
            pass
        else:
            lead = self._services.judges.how.lead
            choices = answered.body.get("choices") or [{}]
            text = str((choices[0].get("message") or {}).get("content") or "")
            tokens = int((answered.body.get("usage") or {}).get("completion_tokens") or 0)
            if answered.model != draft.model:
                agreed = final(text, lead) == final(draft.text, lead)
                self._services.telemetry.audited(agreed)
        self._log(course, draft, agreed, answered_tokens=tokens)

    def _log(
        self, course: Course, draft: Draft, agreed: bool | None, answered_tokens: int | None = None
    ) -> None:
        if self._services.log is None:
            return
        told = course.told
        upper = told.stages[-1] if told.reason is not None and told.stages else None
        tokens = upper.tokens if upper is not None else 0
        entry: Mapping[str, Any] = {
            "version": 1,
            "lower": draft.model,
            "upper": upper.model if upper is not None else None,
            "method": course.rule.method,
            "threshold": course.rule.threshold,
            "confidence": course.rule.model.confidence(draft.values),
            "decision": "accepted" if told.reason is None else "escalated",
            "reason": told.reason,
            "degraded": told.degraded,
            "features": draft.values,
            "window": course.rule.window,
            "weight": 1.0 / self._share if told.reason is None else 1.0,
            "agreed": agreed,
            "lower_tokens": draft.tokens,
            "upper_tokens": answered_tokens if answered_tokens is not None else tokens,
        }
        self._services.log.write(entry)
