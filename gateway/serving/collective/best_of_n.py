"""Best of n for one request: answers are weighed as they come, as far as the choice needs it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Collection, Sequence
from typing import Any

from gateway.core.collective.likeliest import DistinctAnswer, candidates, likeliest, to_weigh
from gateway.core.collective.voting import Ballot
from gateway.serving.collective.likelihood import Likelihood, logprobs
from gateway.serving.collective.options import CollectiveRequest
from gateway.serving.collective.server_model import ServerAnswer


class BestOfN:
    """Keeps what was weighed, so that no text is weighed twice. `close` is the owner's."""

    def __init__(self, likelihood: Likelihood, asked: CollectiveRequest) -> None:
        self._likelihood = likelihood
        self._asked = asked
        self._asking: asyncio.Task[int] | None = None
        self._values: dict[str, Sequence[float]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._numbers = itertools.count()
        self._spent: list[ServerAnswer] = []

    def begin(self) -> None:
        """Ask for what is needed in any case, while the members are at work."""
        if self._asking is None or _failed(self._asking):
            self._asking = asyncio.create_task(self._likelihood.asking(self._asked))

    def look(self, ballots: Sequence[Ballot], expected: Sequence[float]) -> Ballot | None:
        """While answers of these weights are still `expected`: who wins whatever they are.

        Where the answers differ so far, the one that is likeliest to win is weighed meanwhile, one
        at a time, as it may turn out not to be needed.
        """
        if len(candidates(ballots)) < 2:
            return None
        if (found := likeliest(ballots, self._values, expected)) is not None:
            return found.ballot
        if not self.pending():
            self._weigh(ballots, 1)
        return None

    async def best(self, ballots: Sequence[Ballot]) -> Ballot:
        """Of the distinct answers, the likeliest: by the model, and by the weight of those who gave
        it. Where all say the same, nothing is weighed.

        `ballots`, one at least, best first. What failed before is tried once more. Raises what
        `ServerCalls.whole` raises, and EngineFailed for an engine that gives no likelihoods.
        """
        if len(found := candidates(ballots)) == 1:
            return found[0].ballot
        self._tasks = {text: task for text, task in self._tasks.items() if not _failed(task)}
        while (winner := likeliest(ballots, self._values)) is None:
            self._raise_first(found)
            self._weigh(ballots)
            await asyncio.wait(self.pending(), return_when=asyncio.FIRST_COMPLETED)
        return winner.ballot

    def pending(self) -> Collection[asyncio.Future[Any]]:
        """What is being weighed now."""
        return [task for task in self._tasks.values() if not task.done()]

    def spent(self) -> list[ServerAnswer]:
        """What it cost since this was asked last."""
        spent, self._spent = self._spent, []
        return spent

    async def close(self) -> None:
        """What was not needed in the end is given up."""
        tasks = [*self._tasks.values(), *filter(None, (self._asking,))]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _weigh(self, ballots: Sequence[Ballot], most: int | None = None) -> None:
        self.begin()
        for one in to_weigh(ballots, self._values)[:most]:
            if one.text not in self._tasks:
                task = asyncio.create_task(self._one(one.text, next(self._numbers)))
                self._tasks[one.text] = task

    async def _one(self, text: str, place: int) -> None:
        rows = await self._likelihood.rows(self._asked, text, place)
        self._spent.append(rows.spoken)
        assert self._asking is not None, "begun before anything is weighed"
        self._values[text] = logprobs(rows.answered, await asyncio.shield(self._asking))

    def _raise_first(self, found: Sequence[DistinctAnswer]) -> None:
        for one in found:
            task = self._tasks.get(one.text)
            if task is not None and task.done() and (error := task.exception()) is not None:
                raise error


def _failed(task: asyncio.Task[Any]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
