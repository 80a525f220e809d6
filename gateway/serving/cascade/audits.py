"""The log of outcomes that calibration reads, and the audits that find out what it lacks.

The log holds numbers and models' names, and no text of a question or an answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from gateway.core.cascade.audit_weights import DONE, MISSED
from gateway.core.final_answer import answer_key
from gateway.core.streams.chat_answer import completion_tokens
from gateway.errors import GatewayError
from gateway.serving.cascade.answers import LowerAnswer
from gateway.serving.cascade.state import CascadeDeps, CascadeState
from gateway.serving.chat.message_parts import said
from gateway.serving.requests.engine_calls import EngineCall, EngineCalls, EngineReply

ACCEPTED, ESCALATED = "accepted", "escalated"
MAX_RUNNING = 8
"""Audits that run at once; further ones count as missed."""


class Audits:
    """The audits of a share of the answers, drawn at random: the top tier is asked the same
    question in the background.

    They are drawn from the answers of which nobody knows whether the top tier agrees: those that
    were accepted, and those that the top tier only continued, or failed to answer.
    """

    def __init__(self, deps: CascadeDeps, calls: EngineCalls) -> None:
        self._deps = deps
        self._calls = calls
        self._running: set[asyncio.Task[None]] = set()

    def finished(self, state: CascadeState) -> None:
        """Log a request that has been answered, now or after its audit."""
        answer = state.lower
        if answer is None or not answer.features or not state.request.inference.privacy.keeps:
            return
        agreed = state.tiers_agree()
        if agreed is not None or not self._drawn(answer):
            self._log(state, answer, agreed)
            return
        if len(self._running) >= MAX_RUNNING:
            self._log(state, answer, None, MISSED)
            return
        task = asyncio.create_task(self._audit(state, answer))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def stop(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _drawn(self, answer: LowerAnswer) -> bool:
        deps = self._deps
        if deps.is_top(answer.model) or not answer.finish_reason:
            return False
        return deps.uniform() < deps.defaults.audit_share

    async def _audit(self, state: CascadeState, answer: LowerAnswer) -> None:
        request = state.request
        body = request.chat_fields()
        if request.chat.max_tokens is not None:
            body["max_tokens"] = request.chat.max_tokens
        call = EngineCall(
            parent=request.inference,
            part="audit",
            model=self._deps.top_stage.model,
            body=body,
            demands=request.demands(),
        )
        try:
            reply = await self._calls.whole(call)
        except GatewayError:
            reply = None
        if reply is None or not self._deps.is_top(reply.model):
            # A tier below the top answered in its place, which tells nothing.
            self._log(state, answer, None, MISSED)
            return
        lead = self._deps.probes.settings.lead
        text = said(reply.choices[0].message)
        agreed = answer_key(text, lead) == answer_key(answer.said, lead)
        if state.account.reason is None:
            self._deps.telemetry.audited(agreed)
        self._log(state, answer, agreed, DONE, reply)

    def _log(
        self,
        state: CascadeState,
        answer: LowerAnswer,
        agreed: bool | None,
        audit: str | None = None,
        reply: EngineReply | None = None,
    ) -> None:
        """`audit`: what came of it, for an answer that was drawn and stands for others that were
        not; `reply`: the top tier's answer to it."""
        if self._deps.log is None:
            return
        account = state.account
        stage = account.stages[-1] if account.reason is not None and account.stages else None
        upper = stage.model if stage is not None else None
        tokens = stage.tokens if stage is not None else 0
        if reply is not None:
            # Those of the top's own whole answer, rather than of its continuation.
            upper = reply.model
            tokens = completion_tokens(reply.body)
        entry: Mapping[str, Any] = {
            "version": 1,
            "lower": answer.model,
            "upper": upper,
            "method": state.rule.method,
            "threshold": state.rule.threshold,
            "confidence": state.rule.model.confidence(answer.features),
            "decision": ACCEPTED if account.reason is None else ESCALATED,
            "reason": account.reason,
            "degraded": account.degraded,
            "features": answer.features,
            "window": state.rule.window,
            "weight": 1.0 / self._deps.defaults.audit_share if audit is not None else 1.0,
            "audit": audit,
            "agreed": agreed,
            "lower_tokens": answer.completion_tokens,
            "upper_tokens": tokens,
        }
        self._deps.log.write(entry)
