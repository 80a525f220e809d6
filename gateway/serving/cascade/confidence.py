"""Further questions to the lower tier's model that tell how sure its answer is: samples, whose
agreement counts, and a self-check."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.core.cascade.agreement import agreement
from gateway.core.final_answer import after_lead, answer_key, normalised
from gateway.core.streams.chat_answer import completion_tokens, prompt_tokens
from gateway.errors import GatewayError
from gateway.serving.cascade.answers import LowerAnswer
from gateway.serving.cascade.lower_tier import LowerTier
from gateway.serving.cascade.options import CascadeRequest, StageSpec
from gateway.serving.chat.message_parts import said
from gateway.serving.requests.engine_calls import EngineCall, EngineCalls, EngineReply


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSettings:
    """The settings of the probes. `temperature` is that of samples, `lead` the text after which the
    final answer stands. The self-check's `template` has {question} and {answer}, and `expects` says
    which reply means that the answer is right: yes, or the same answer again."""

    samples: int
    temperature: float
    lead: str
    template: str
    expects: str
    max_tokens: int


@dataclass(frozen=True, slots=True)
class ConfidenceProbes:
    """The probes of an answer. One that fails leaves its feature unknown, and the answer then
    counts as unsure."""

    calls: EngineCalls
    lower_tier: LowerTier
    settings: ProbeSettings

    async def sampled(
        self, request: CascadeRequest, stage: StageSpec, deadline_s: float | None, samples: int
    ) -> LowerAnswer:
        """The answer, with the agreement of samples that are drawn beside it.

        All within `deadline_s`. Samples of another model than the answer's tell nothing of it.
        """
        task = asyncio.create_task(self._samples(request, stage, deadline_s, samples))
        try:
            answer = await self.lower_tier.whole(request, stage, deadline_s)
            reply = await task
        finally:
            task.cancel()
            await asyncio.wait([task])
        if reply is None:
            return answer
        _count(answer, reply)
        if reply.model == answer.model and (texts := _texts(reply)):
            answer.features["agreement"] = agreement(answer.said, texts, self.settings.lead)
        return answer

    async def _samples(
        self, request: CascadeRequest, stage: StageSpec, deadline_s: float | None, count: int
    ) -> EngineReply | None:
        body = {**request.chat_fields(), "n": count}
        if not body.get("temperature"):
            body["temperature"] = self.settings.temperature
        if (bound := request.max_tokens_at(stage)) is not None:
            body["max_tokens"] = bound
        demands = request.demands_within(stage, deadline_s)
        try:
            return await self.calls.whole(
                EngineCall(
                    parent=request.inference,
                    part="samples",
                    model=stage.model,
                    body=body,
                    demands=demands,
                )
            )
        except GatewayError:
            return None

    async def check(
        self, request: CascadeRequest, answer: LowerAnswer, deadline_s: float | None
    ) -> None:
        """Ask the model that wrote the answer whether it is right. Of tool calls that stays
        unknown: the question is about a text."""
        if not answer.text:
            return
        prompt = self.settings.template.replace("{question}", request.question)
        messages: list[Mapping[str, Any]] = [
            *request.messages[:-1],
            {"role": "user", "content": prompt.replace("{answer}", self._shown(answer))},
        ]
        body = {
            **request.chat.caller_fields,
            "messages": messages,
            "temperature": 0,
            "max_tokens": self.settings.max_tokens,
        }
        demands = request.demands(deadline_s)
        try:
            reply = await self.calls.whole(
                EngineCall(
                    parent=request.inference,
                    part="check",
                    model=answer.model,
                    body=body,
                    demands=demands,
                )
            )
        except GatewayError:
            return
        _count(answer, reply)
        text, lead = (_texts(reply) or [""])[0], self.settings.lead
        if self.settings.expects == "yes":
            right = normalised(text).startswith("yes")
        else:
            right = answer_key(text, lead) == answer_key(answer.text, lead)
        answer.features["self_check"] = float(right)

    def _shown(self, answer: LowerAnswer) -> str:
        """The part of an answer that its model is shown: its final answer, where the model is to
        repeat that."""
        if self.settings.expects == "yes":
            return answer.text
        tail = after_lead(answer.text, self.settings.lead)
        return answer.text.strip() if tail is None else tail


def _texts(reply: EngineReply) -> list[str]:
    return [said(choice.message) for choice in reply.choices]


def _count(answer: LowerAnswer, reply: EngineReply) -> None:
    answer.probe_prompt_tokens += prompt_tokens(reply.body)
    answer.probe_tokens += completion_tokens(reply.body)
