"""Requests of every kind through the openai package, made again when their replica dies."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import httpx2
from openai import APIConnectionError, AsyncOpenAI

from tests.integration.gateway_replicas import PATIENCE_S
from tests.integration.killed_replica.engines_and_devices import (
    NUMBERS,
    question,
    right,
    verdict,
    wrong,
)


@dataclass(frozen=True)
class Request:
    """One that is made as often as its stream breaks. `expected`: its text, in the end."""

    model: str
    number: int
    expected: str
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def body(self) -> dict[str, Any]:
        messages = [{"role": "user", "content": question(self.number)}]
        return {"model": self.model, "messages": messages, **self.more}

    async def answer(self, client: AsyncOpenAI) -> str:
        """Its id. The openai package repeats what breaks before the first byte."""
        # By pairs, as the replicas take turns: each gets both ways.
        if self.number // 2 % 2 == 0:
            answer = await client.chat.completions.create(**self.body)
            [choice] = answer.choices
            assert (choice.message.content, choice.finish_reason) == (self.expected, "stop")
            return str(answer.id)
        async with asyncio.timeout(PATIENCE_S):
            while (found := await self._streamed(client)) is None:
                pass
        return found

    async def _streamed(self, client: AsyncOpenAI) -> str | None:
        """None: it broke in the middle, having said nothing wrong."""
        text, reason = "", None
        try:
            async for chunk in await client.chat.completions.create(stream=True, **self.body):
                for choice in chunk.choices:
                    text += choice.delta.content or ""
                    reason = choice.finish_reason or reason
        except (APIConnectionError, httpx2.TransportError):
            assert self.expected.startswith(text) and reason is None
            return None
        assert (text, reason) == (self.expected, "stop")
        return str(chunk.id)


def collective(number: int, quorum: int = 2) -> Request:
    options = {"aggregate": "template", "members": "all", "quorum": quorum}
    more = {
        "extra_body": {"tierflow": {"collective": options}},
        "extra_headers": {"Idempotency-Key": f"key-{number}-{quorum}"},
    }
    return Request("tierflow-collective", number, verdict(number), more)


def requests() -> list[Request]:
    plain = [Request("rill-edge", number, wrong(number)) for number in NUMBERS]
    cascades = [Request("tierflow-cascade", number, right(number)) for number in NUMBERS]
    return [*plain, *cascades, *map(collective, NUMBERS)]
