"""Best of n: how likely a server model finds each candidate as its own answer.

The candidate stands as the assistant's whole message, and the engine gives the log-probability of
each token of the prompt (vLLM's `prompt_logprobs`): the candidate's own are those behind the prompt
that asks for an answer, whose length /tokenize gives. The tokens that end the message are among
them, so that an answer that breaks off is as unlikely as it should be.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gateway.core.collective.untrusted import harmless
from gateway.core.collective.voting import Ballot
from gateway.errors import EngineFailed
from gateway.serving.collective.asked import Asked
from gateway.serving.collective.speaking import Spoken, server_call
from gateway.serving.server_calls import Answered, ServerCalls

MAX_CANDIDATES = 8
CANDIDATE_CHARS = 4000


class Likelihood:
    def __init__(self, calls: ServerCalls) -> None:
        self._calls = calls

    async def best(
        self, asked: Asked, ballots: Sequence[Ballot], name: str, spent: list[Spoken]
    ) -> Ballot:
        """Of the distinct answers, the likeliest: by the model, and by the weight of those who
        gave it, as two opinions on the same thing whose log-probabilities add up.

        `ballots`, one at least, best first. Where all say the same, nobody is asked. `spent` takes
        what each call cost, also when another one fails. Raises what
        `ServerCalls.whole` raises, and EngineFailed for an engine that gives no likelihoods.
        """
        candidates = distinct(ballots)[:MAX_CANDIDATES]
        if len(candidates) == 1:
            return candidates[0]
        messages = asked.with_last(asked.question)
        call = server_call(asked, messages, f"{name}/prompt")
        prompt = await self._calls.whole(
            replace(call, path="/tokenize", body={"messages": messages})
        )
        asking = prompt.body.get("count")
        if not isinstance(asking, int):
            raise _none(prompt)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(
                        self._score(asked, messages, one, f"{name}/{place}", asking, spent)
                    )
                    for place, one in enumerate(candidates)
                ]
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        found = [task.result() for task in tasks]
        short = mostly_short(ballots)
        scores = [
            likelihood(values, short=short) + math.log(support(one, ballots))
            for values, one in zip(found, candidates, strict=True)
        ]
        best = max(range(len(scores)), key=scores.__getitem__)
        return candidates[best]

    async def _score(
        self,
        asked: Asked,
        messages: Sequence[Mapping[str, Any]],
        ballot: Ballot,
        name: str,
        asking: int,
        spent: list[Spoken],
    ) -> list[float]:
        said = {"role": "assistant", "content": harmless(ballot.reading.text, CANDIDATE_CHARS)}
        call = server_call(asked, messages, name)
        body = {
            "messages": [*messages, said],
            "add_generation_prompt": False,
            "prompt_logprobs": 0,
            "max_tokens": 1,
            "temperature": 0,
        }
        answered = await self._calls.whole(replace(call, body=body))
        usage = answered.body.get("usage") or {}
        spent.append(
            Spoken(
                "",
                answered.model,
                answered.tier,
                "stop",
                usage.get("prompt_tokens") or 0,
                usage.get("completion_tokens") or 0,
            )
        )
        return logprobs(answered, asking)


def distinct(ballots: Sequence[Ballot]) -> list[Ballot]:
    """The first of those with the same final answer."""
    found: dict[str, Ballot] = {}
    for ballot in ballots:
        found.setdefault(_answer(ballot), ballot)
    return list(found.values())


def _answer(ballot: Ballot) -> str:
    """What makes two answers the same: their final ones; a text without one is like no other."""
    return ballot.reading.key or f"{ballot.voter}\0"


def support(candidate: Ballot, ballots: Sequence[Ballot]) -> float:
    """The share of all weight that gave the same answer."""
    same = sum(b.weight for b in ballots if _answer(b) == _answer(candidate))
    return same / sum(b.weight for b in ballots)


def mostly_short(ballots: Sequence[Ballot]) -> bool:
    """Whether half the weight at least names a final answer: one talkative member, or a liar, shall
    not change how the others are weighed."""
    short = sum(ballot.weight for ballot in ballots if ballot.reading.key is not None)
    return 2 * short >= sum(ballot.weight for ballot in ballots)


def likelihood(values: Sequence[float], *, short: bool) -> float:
    """Natural log-probability: of the whole where answers are `short`, per token where they are
    long, since there the length would decide."""
    return sum(values) if short else sum(values) / len(values)


def logprobs(answered: Answered, skip: int) -> list[float]:
    """Of the prompt's tokens behind the first `skip`. Raises EngineFailed."""
    rows = answered.body.get("prompt_logprobs")
    if not isinstance(rows, list) or len(rows) <= skip:
        raise _none(answered)
    try:
        # The token that stands there comes first, alternatives after it.
        return [float(next(iter(row.values()))["logprob"]) for row in rows[skip:]]
    except (AttributeError, KeyError, StopIteration, TypeError, ValueError):
        raise _none(answered) from None


def _none(answered: Answered) -> EngineFailed:
    return EngineFailed(
        f"{answered.endpoint} gives no likelihood of a given answer",
        endpoint=answered.endpoint,
        code="no_likelihood",
    )
