"""What takes further answers of the small model to know: agreement of samples, a self-check."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.core.cascade.agreement import agreement, final
from gateway.errors import GatewayError
from gateway.serving.cascade.answer import Draft, prompt_tokens
from gateway.serving.cascade.asked import Asked
from gateway.serving.cascade.lower import Lower, Tier, demands_of, demands_within
from gateway.serving.server_calls import Answered, Call, ServerCalls


@dataclass(frozen=True, slots=True)
class Judging:
    """`temperature` of samples; `template` has {question} and {answer}, and `expects` says what
    reply means that the answer is right: yes, or the same answer again."""

    samples: int
    temperature: float
    lead: str
    template: str
    expects: str
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Judges:
    """A question that fails leaves its feature unknown: the answer then counts as unsure."""

    calls: ServerCalls
    lower: Lower
    how: Judging

    async def sampled(
        self, asked: Asked, tier: Tier, deadline_s: float | None, samples: int
    ) -> Draft:
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
        self, asked: Asked, tier: Tier, deadline_s: float | None, count: int
    ) -> Answered | None:
        body = {**asked.fields(), "n": count}
        if not body.get("temperature"):
            body["temperature"] = self.how.temperature
        if asked.most is not None or tier.max_tokens is not None:
            body["max_tokens"] = min(filter(None, (asked.most, tier.max_tokens)))
        demands = demands_within(asked, tier, deadline_s)
        try:
            return await self.calls.whole(
                Call(asked.request, "samples", tier.model, body, demands=demands)
            )
        except GatewayError:
            return None

    async def checked(self, asked: Asked, draft: Draft, deadline_s: float | None) -> None:
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
                Call(asked.request, "check", draft.model, body, demands=demands)
            )
        except GatewayError:
            return
        _count(draft, answered)
        texts = _texts(answered)
        said = final(texts[0], self.how.lead) if texts else ""
        if self.how.expects == "yes":
            right = final(texts[0]).startswith("yes") if texts else False
        else:
            right = said == final(draft.text, self.how.lead)
        draft.values["self_check"] = float(right)

    def _own(self, draft: Draft) -> str:
        """What is shown of an answer: where its end is to be repeated, that end."""
        if self.how.expects == "yes":
            return draft.text
        _, found, tail = draft.text.rpartition(self.how.lead)
        return (tail if found else draft.text).strip()


def _texts(answered: Answered) -> list[str]:
    choices = answered.body.get("choices") or []
    return [str((choice.get("message") or {}).get("content") or "") for choice in choices]


def _count(draft: Draft, answered: Answered) -> None:
    usage = answered.body.get("usage") or {}
    draft.judging_prompt_tokens += prompt_tokens(answered.body)
    draft.judging_tokens += int(usage.get("completion_tokens") or 0)
