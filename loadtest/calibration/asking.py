"""Questions to a running gateway, several at once."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx

from loadtest.measure.failure import BenchmarkFailure
from loadtest.speculation.questions import Question

ANSWER_S = 300.0
CALIBRATION_SHARE = 0.6
EVERY = 200
Found = TypeVar("Found")


@dataclass(slots=True)
class Said:
    """`about` is the reply's `tierflow.cascade`, {} where it has none."""

    text: str = ""
    model: str = ""
    tokens: int = 0
    about: Mapping[str, Any] = field(default_factory=dict)


def split_of(question: Question) -> str:
    """Of the question's text alone, so that no question is ever on both sides."""
    digest = hashlib.sha256(b"calibration:" + question.prompt.encode()).digest()
    share = int.from_bytes(digest[:8], "big") / 2**64
    return "calibration" if share < CALIBRATION_SHARE else "evaluation"


@dataclass(frozen=True, slots=True)
class Asker:
    client: httpx.AsyncClient
    max_tokens: int

    async def ask(
        self, model: str, question: Question, stream: bool = False, **options: Any
    ) -> Said:
        """Greedily. `options` are those of the cascade. Raises BenchmarkFailure."""
        body: dict[str, Any] = {
            "model": model,
            "messages": [{"role": "user", "content": question.prompt}],
            "max_tokens": self.max_tokens,
            "temperature": 0,
        }
        if options:
            body["tierflow"] = {"cascade": options}
        try:
            if stream:
                body |= {"stream": True, "stream_options": {"include_usage": True}}
                return await self._streamed(body)
            answer = await self.client.post("/v1/chat/completions", json=body)
            if answer.status_code != 200:
                raise _refused(answer.status_code, answer.text)
            return _said(answer.json())
        except (httpx.HTTPError, KeyError, ValueError) as error:
            raise BenchmarkFailure(f"{model}: {type(error).__name__}: {error}") from error

    async def _streamed(self, body: Mapping[str, Any]) -> Said:
        said = Said()
        async with self.client.stream("POST", "/v1/chat/completions", json=body) as response:
            if response.status_code != 200:
                raise _refused(response.status_code, (await response.aread()).decode())
            async for line in response.aiter_lines():
                if line.startswith("data: {"):
                    _take(said, json.loads(line[6:]))
        return said


def _take(said: Said, chunk: Mapping[str, Any]) -> None:
    if "error" in chunk:
        raise BenchmarkFailure(f"a stream ended with {chunk['error']}")
    said.about = (chunk.get("tierflow") or {}).get("cascade") or said.about
    said.model = chunk["model"]
    if usage := chunk.get("usage"):
        said.tokens = usage["completion_tokens"]
    for choice in chunk["choices"]:
        said.text += choice["delta"].get("content") or ""


def _said(body: Mapping[str, Any]) -> Said:
    return Said(
        body["choices"][0]["message"]["content"] or "",
        body["model"],
        body["usage"]["completion_tokens"],
        (body.get("tierflow") or {}).get("cascade") or {},
    )


def _refused(status: int, text: str) -> BenchmarkFailure:
    return BenchmarkFailure(f"the gateway answered {status}: {text[:300]}")


async def for_all(
    url: str,
    max_tokens: int,
    at_once: int,
    questions: Sequence[Question],
    one: Callable[[Asker, Question], Awaitable[Found]],
    progress: Callable[[str], None],
) -> list[Found]:
    """`one` for every question, in their order. Raises BenchmarkFailure."""
    gate, done = asyncio.Semaphore(at_once), 0
    limits = httpx.Limits(max_connections=4 * at_once)
    async with httpx.AsyncClient(
        base_url=url, timeout=ANSWER_S, trust_env=False, limits=limits
    ) as client:
        asker = Asker(client, max_tokens)

        async def bounded(question: Question) -> Found:
            nonlocal done
            async with gate:
                found = await one(asker, question)
            done += 1
            if done % EVERY == 0:
                progress(f"{done} of {len(questions)} questions")
            return found

        tasks = [asyncio.create_task(bounded(question)) for question in questions]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()
