"""What takes further answers of the small model to know: agreement of samples, a self-check."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.core.cascade.agreement import agreement
from gateway.core.final_answer import after_lead, answer_key, normalised
from gateway.errors import GatewayError
from gateway.serving.cascade.answers import LowerAnswer, prompt_tokens
from gateway.serving.cascade.lower_tier import LowerTier, StageSpec, demands_of, demands_within
from gateway.serving.cascade.options import CascadeRequest
from gateway.serving.requests.engine_calls import EngineCall, EngineCalls, EngineReply


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSettings:
    """`temperature` of samples; `template` has {question} and {answer}, and `expects` says what
    reply means that the answer is right: yes, or the same answer again."""

    samples: int
    temperature: float
    lead: str
    template: str
    expects: str
    max_tokens: int


@dataclass(frozen=True, slots=True)
class ConfidenceProbes:
    """A question that fails leaves its feature unknown: the answer then counts as unsure."""

    calls: EngineCalls
    lower: LowerTier
    how: ProbeSettings

    async def sampled(
        self, asked: CascadeRequest, tier: StageSpec, deadline_s: float | None, samples: int
    ) -> LowerAnswer:
        """The answer, with the agreement of samples that are drawn beside it.

        All within `deadline_s`. Samples of another model than the answer's say nothing of it.
        """
        task = asyncio.create_task(self._samples(asked, tier, deadline_s, samples))
        try:
            draft = await self.lower.whole(asked, tier, deadline_s)
            answered = await task
        finally:
            task.cancel()
            await asyncio.wait([task])
        if answered is None:
            return draft
        _count(draft, answered)
        if answered.model == draft.model and (texts := _texts(answered)):
            draft.values["agreement"] = agreement(draft.text, texts, self.how.lead)
        return draft

    async def _samples(
        self, asked: CascadeRequest, tier: StageSpec, deadline_s: float | None, count: int
    ) -> EngineReply | None:
        body = {**asked.fields(), "n": count}
        if not body.get("temperature"):
            body["temperature"] = self.how.temperature
        if asked.most is not None or tier.max_tokens is not None:
            body["max_tokens"] = min(filter(None, (asked.most, tier.max_tokens)))
        demands = demands_within(asked, tier, deadline_s)
        try:
            return await self.calls.whole(
                EngineCall(
                    parent=asked.request,
                    part="samples",
                    model=tier.model,
                    body=body,
                    demands=demands,
                )
            )
        except GatewayError:
            return None

    async def checked(
        self, asked: CascadeRequest, draft: LowerAnswer, deadline_s: float | None
    ) -> None:
        """Ask the model that wrote it whether it is right."""
        words = self.how.template.replace("{question}", asked.question)
        messages: list[Mapping[str, Any]] = [
            *asked.messages[:-1],
            {"role": "user", "content": words.replace("{answer}", self._own(draft))},
        ]
        body = {"messages": messages, "temperature": 0, "max_tokens": self.how.max_tokens}
        demands = demands_of(asked, deadline_s)
        try:
            answered = await self.calls.whole(
                EngineCall(
                    parent=asked.request,
                    part="check",
                    model=draft.model,
                    body=body,
                    demands=demands,
                )
            )
        except GatewayError:
            return
        _count(draft, answered)
        text, lead = (_texts(answered) or [""])[0], self.how.lead
        if self.how.expects == "yes":
            right = normalised(text).startswith("yes")
        else:
            right = answer_key(text, lead) == answer_key(draft.text, lead)
        draft.values["self_check"] = float(right)

    def _own(self, draft: LowerAnswer) -> str:
        """What is shown of an answer: where its end is to be repeated, that end."""
        if self.how.expects == "yes":
            return draft.text
        tail = after_lead(draft.text, self.how.lead)
        return draft.text.strip() if tail is None else tail


def _texts(answered: EngineReply) -> list[str]:
    choices = answered.body.get("choices") or []
    return [str((choice.get("message") or {}).get("content") or "") for choice in choices]


def _count(draft: LowerAnswer, answered: EngineReply) -> None:
    usage = answered.body.get("usage") or {}
    draft.judging_prompt_tokens += prompt_tokens(answered.body)
    draft.judging_tokens += int(usage.get("completion_tokens") or 0)
