"""Best of n: the answer that a server model finds the likeliest as its own.

The answer stands as the assistant's whole message, and the engine gives the log-probability of each
token of the prompt (vLLM's `prompt_logprobs`). The answer's own tokens are those behind the prompt
that asks for it; /tokenize gives that prompt's length. The tokens that end the message are among
them, so that an answer that breaks off is as unlikely as it should be.
"""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gateway.core.collective.likeliest import (
    DistinctAnswer,
    answers_to_score,
    distinct_answers,
    likeliest,
)
from gateway.core.collective.untrusted import harmless
from gateway.core.collective.voting import Ballot
from gateway.core.streams.usage import read_usage
from gateway.core.upstream_errors import no_likelihood
from gateway.serving.collective.options import CollectiveRequest
from gateway.serving.collective.server_model import ServerAnswer, server_answer, server_call
from gateway.serving.requests.engine_calls import EngineCalls, EngineReply

ANSWER_CHARS = 4000
"""The length to which an answer is cut before it is scored."""


class BestOfN:
    """The choice by likelihood for one request. Answers are scored as they come, each text once,
    and only those that the choice needs. The owner closes it."""

    def __init__(self, likelihoods: Likelihoods, request: CollectiveRequest) -> None:
        self._likelihoods = likelihoods
        self._request = request
        self._prompt_length: asyncio.Task[int] | None = None
        self._logprobs: dict[str, Sequence[float]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._numbers = itertools.count()
        self._spent: list[ServerAnswer] = []

    def begin(self) -> None:
        """Ask for the prompt's length, which every score needs, while the members work."""
        if self._prompt_length is None or _failed(self._prompt_length):
            self._prompt_length = asyncio.create_task(
                self._likelihoods.prompt_length(self._request)
            )

    def winner_so_far(self, ballots: Sequence[Ballot], expected: Sequence[float]) -> Ballot | None:
        """The answer that wins whatever the members say that are still `expected` (their weights).

        Where the answers so far differ, the likeliest winner is scored in the background, one at a
        time: further scores may turn out not to be needed.
        """
        if len(distinct_answers(ballots)) < 2:
            return None
        if (winner := likeliest(ballots, self._logprobs, expected)) is not None:
            return winner.ballot
        if not self.pending():
            self._score(ballots, 1)
        return None

    async def best(self, ballots: Sequence[Ballot]) -> Ballot:
        """The likeliest of the distinct answers, by the model and by the weight of the members that
        gave it. Where all members agree, nothing is scored.

        `ballots`, one at least, best first. A score that failed before is tried once more. Raises
        what `EngineCalls.whole` raises, and EngineFailed for an engine that gives no likelihoods.
        """
        answers = distinct_answers(ballots)
        if len(answers) == 1:
            return answers[0].ballot
        self._tasks = {text: task for text, task in self._tasks.items() if not _failed(task)}
        while (winner := likeliest(ballots, self._logprobs)) is None:
            self._raise_failure(answers)
            self._score(ballots)
            await asyncio.wait(self.pending(), return_when=asyncio.FIRST_COMPLETED)
        return winner.ballot

    def pending(self) -> Collection[asyncio.Future[Any]]:
        """The scores that are being made now."""
        return [task for task in self._tasks.values() if not task.done()]

    def spent(self) -> list[ServerAnswer]:
        """The server model's calls since the last call of this method."""
        spent, self._spent = self._spent, []
        return spent

    async def close(self) -> None:
        """Give up the calls that were not needed in the end."""
        tasks = [*self._tasks.values(), *filter(None, (self._prompt_length,))]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _score(self, ballots: Sequence[Ballot], limit: int | None = None) -> None:
        self.begin()
        for answer in answers_to_score(ballots, self._logprobs)[:limit]:
            if answer.text not in self._tasks:
                task = asyncio.create_task(self._score_text(answer.text, next(self._numbers)))
                self._tasks[answer.text] = task

    async def _score_text(self, text: str, number: int) -> None:
        prompt = await self._likelihoods.prompt_logprobs(self._request, text, number)
        self._spent.append(prompt.cost)
        assert self._prompt_length is not None, "begun before anything is scored"
        length = await asyncio.shield(self._prompt_length)
        self._logprobs[text] = _answer_logprobs(prompt.reply, length)

    def _raise_failure(self, answers: Sequence[DistinctAnswer]) -> None:
        for answer in answers:
            task = self._tasks.get(answer.text)
            if task is not None and task.done() and (error := task.exception()) is not None:
                raise error


def _failed(task: asyncio.Task[Any]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


@dataclass(frozen=True, slots=True)
class PromptLogprobs:
    """An engine's reply with the log-probabilities of a whole prompt, and what the call cost."""

    reply: EngineReply
    cost: ServerAnswer


class Likelihoods:
    """The calls to a request's aggregator that tell how likely it finds an answer."""

    def __init__(self, calls: EngineCalls) -> None:
        self._calls = calls

    async def prompt_length(self, request: CollectiveRequest) -> int:
        """Tokens of the prompt that asks for an answer. Raises what `EngineCalls.whole` raises, and
        EngineFailed for an engine that does not count them."""
        messages = request.messages
        call = server_call(request, messages, "weigh/prompt")
        reply = await self._calls.whole(
            replace(call, path="/tokenize", body={"messages": messages})
        )
        count = reply.body.get("count")
        if not isinstance(count, int) or count < 0:
            raise no_likelihood(reply.endpoint)
        return count

    async def prompt_logprobs(
        self, request: CollectiveRequest, text: str, number: int
    ) -> PromptLogprobs:
        """For `text` as the answer; `number` tells the call from others in logs. Raises what
        `EngineCalls.whole` raises."""
        messages = request.messages
        answer: Mapping[str, Any] = {"role": "assistant", "content": harmless(text, ANSWER_CHARS)}
        call = server_call(request, messages, f"weigh/{number}")
        body = {
            **request.chat.caller_fields,
            "messages": [*messages, answer],
            "add_generation_prompt": False,
            "prompt_logprobs": 0,
            "max_tokens": 1,
            "temperature": 0,
        }
        reply = await self._calls.whole(replace(call, body=body))
        return PromptLogprobs(reply, server_answer(reply, "", read_usage(reply.body)))


def _answer_logprobs(reply: EngineReply, prompt_length: int) -> Sequence[float]:
    """The natural log-probabilities of the tokens behind the first `prompt_length`, one at least.
    Raises EngineFailed."""
    rows = reply.body.get("prompt_logprobs")
    if not isinstance(rows, list) or len(rows) <= prompt_length:
        raise no_likelihood(reply.endpoint)
    try:
        # The token that stands there comes first in its row, alternatives after it.
        logprobs = [float(next(iter(row.values()))["logprob"]) for row in rows[prompt_length:]]
    except (AttributeError, KeyError, StopIteration, TypeError, ValueError):
        raise no_likelihood(reply.endpoint) from None
    if not math.isfinite(sum(logprobs)):
        raise no_likelihood(reply.endpoint)
    # Rounding may lift a certain token above 0.
    return [min(0.0, value) for value in logprobs]
