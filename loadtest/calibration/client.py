"""A caller that asks a running gateway several questions at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any, TypeVar

import httpx

from gateway.protocol.virtual_models import CASCADE
from loadtest.measure.chat import PATH, Reply, chat_body, streamed_reply, whole_reply
from loadtest.measure.command import BenchmarkFailure, Progress
from loadtest.measure.family import Question
from loadtest.measure.http_client import refusal
from loadtest.measure.processes import wait_until
from loadtest.measure.streams import StreamedAnswer

ANSWER_S = 300.0
EVERY = 200
"""Questions between two lines of progress."""
LOWER_TIER_S = 120.0
EVERYTHING_PASSES = 0.0
"""A threshold at which the lower tier's answer is always accepted."""
Q = TypeVar("Q")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Traffic:
    """The load on a gateway: where it is, how many questions at once, the longest answer."""

    url: str
    at_once: int
    max_tokens: int


@dataclass(frozen=True, slots=True)
class CascadeClient:
    """A caller of the cascade and of its tiers; many requests may be under way at once."""

    http: httpx.AsyncClient
    max_tokens: int

    async def ask(
        self, model: str, question: Question, *, stream: bool = False, **options: Any
    ) -> Reply:
        """The greedy answer. `options` are those of the cascade. Raises BenchmarkFailure."""
        fields = {"tierflow": {"cascade": options}} if options else {}
        body = chat_body(
            model, question.prompt, max_tokens=self.max_tokens, stream=stream, **fields
        )
        try:
            return await (self._streamed(body) if stream else self._whole(body))
        except httpx.ConnectError as error:
            raise BenchmarkFailure(
                f"nothing answers at {self.http.base_url}: run `tierflow up` first"
            ) from error
        except (httpx.HTTPError, KeyError, ValueError) as error:
            raise BenchmarkFailure(f"{model}: {type(error).__name__}: {error}") from error

    async def _whole(self, body: Mapping[str, Any]) -> Reply:
        start = perf_counter()
        response = await self.http.post(PATH, json=body)
        if response.status_code != 200:
            raise refusal(response.status_code, response.content)
        return whole_reply(response, perf_counter() - start)

    async def _streamed(self, body: Mapping[str, Any]) -> Reply:
        answer = StreamedAnswer(sent=perf_counter())
        async with self.http.stream("POST", PATH, json=body) as response:
            if response.status_code != 200:
                raise refusal(response.status_code, await response.aread())
            async for piece in response.aiter_bytes():
                answer.observe(perf_counter(), piece)
        return streamed_reply(answer, perf_counter() - answer.sent)


def await_lower_tier(traffic: Traffic, question: Question, upper: str, progress: Progress) -> None:
    """Wait until the cascade's lower tier answers. Right after a start, and while it is down, the
    top answers in its place, and figures would not be the cascade's.

    Raises BenchmarkFailure after `LOWER_TIER_S`, and at once for a gateway that refuses.
    """
    told = False

    def answers() -> bool:
        nonlocal told
        first, top = ask_all(traffic, (CASCADE, upper), partial(_by_name, question), progress)
        stages = first.cascade.get("stages") or [{}]
        if stages[0].get("model") != top.model:
            return True
        if not told:
            progress("waiting for the lower tier; /ready of the gateway says what it lacks")
            told = True
        return False

    wait_until(
        answers,
        LOWER_TIER_S,
        f"the lower tier does not answer: {upper} does in its place; see /ready of {traffic.url}",
    )


async def _by_name(question: Question, client: CascadeClient, model: str) -> Reply:
    options: dict[str, Any] = {"threshold": EVERYTHING_PASSES} if model == CASCADE else {}
    return await client.ask(model, question, **options)


def ask_all(
    traffic: Traffic,
    questions: Sequence[Q],
    ask: Callable[[CascadeClient, Q], Awaitable[T]],
    progress: Progress,
) -> list[T]:
    """The result of `ask` for every question, in their order. Raises BenchmarkFailure."""
    return asyncio.run(_ask_all(traffic, questions, ask, progress))


async def _ask_all(
    traffic: Traffic,
    questions: Sequence[Q],
    ask: Callable[[CascadeClient, Q], Awaitable[T]],
    progress: Progress,
) -> list[T]:
    gate, done = asyncio.Semaphore(traffic.at_once), 0
    limits = httpx.Limits(max_connections=4 * traffic.at_once)
    async with httpx.AsyncClient(
        base_url=traffic.url, timeout=ANSWER_S, trust_env=False, limits=limits
    ) as http:
        client = CascadeClient(http, traffic.max_tokens)

        async def bounded(question: Q) -> T:
            nonlocal done
            async with gate:
                result = await ask(client, question)
            done += 1
            if done % EVERY == 0:
                progress(f"{done} of {len(questions)} questions")
            return result

        tasks = [asyncio.create_task(bounded(question)) for question in questions]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()
