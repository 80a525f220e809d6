"""A crowd of callers in a closed loop: each asks its next question when its last call has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import cycle
from random import Random
from time import monotonic

from loadtest.callers.caller import Call, Caller
from loadtest.callers.questions import Question
from loadtest.measure.http_client import Target

START_SPREAD_S = 2.0
"""New callers of a crowd begin spread over this time, so that they don't go in step."""


class Crowd:
    """So many callers at work as `resize` last said; `calls` are those that have ended.

    `sizes` are the sizes so far, each with the moment (monotonic seconds) from which it held.

    Callers that come back for the rest of a stream reach the gateway by `lossy`, all others by
    `target`.
    """

    def __init__(self, questions: Sequence[Question], *, target: Target, lossy: Target) -> None:
        self.calls: list[Call] = []
        self.sizes: list[tuple[float, int]] = []
        self.size = 0
        self._questions: Iterator[Question] = cycle(questions)
        self._targets = {False: target, True: lossy}
        self._tasks: list[asyncio.Task[None]] = []
        self._random = Random(0)

    def resize(self, size: int) -> None:
        """Callers beyond the new size leave when their calls have ended."""
        grown = size - self.size
        self.size = size
        self.sizes.append((monotonic(), size))
        self._tasks = [task for task in self._tasks if not task.done()]
        for number in range(size - grown, size):
            delay = START_SPREAD_S * self._random.random()
            self._tasks.append(asyncio.create_task(self._work(number, delay)))

    async def leave(self) -> None:
        """All callers end their calls. Raises what went wrong in one, if anything did."""
        self.resize(0)
        await asyncio.gather(*self._tasks)

    async def _work(self, number: int, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        with ExitStack() as stack:
            callers = self._callers(stack.callback)
            while number < self.size:
                question = next(self._questions)
                caller = callers[question.kind.returns]
                self.calls.append(await caller.ask(question))
                if question.kind.returns:
                    # Such a question is seldom: its connection would lie idle for a minute.
                    caller.close()

    def _callers(self, at_end: Callable[[Callable[[], None]], object]) -> dict[bool, Caller]:
        callers = {}
        for returns, target in self._targets.items():
            callers[returns] = Caller(target, Random(self._random.random()))
            at_end(callers[returns].close)
        return callers
