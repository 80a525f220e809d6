"""The soak's load: callers with the right answers at hand, some of whom leave in the middle."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from itertools import count, cycle
from random import Random

from loadtest.callers.caller import Caller
from loadtest.callers.questions import Question
from loadtest.callers.verdicts import BAD, judge
from loadtest.measure.http_client import Target

LEAVES_WITHIN_S = 0.3
"""Who leaves does so at some moment of this time, before the first token or after it."""


class SoakLoad:
    """Callers in a closed loop. `answers` counts complete ones, `left` those that were left, and
    `bad` those that were lost, duplicated or wrong."""

    def __init__(self, questions: Sequence[Question], target: Target, leave_every: int) -> None:
        self.answers = self.left = self.bad = 0
        self.reasons: list[str] = []
        self._questions: Iterator[Question] = cycle(questions)
        self._target = target
        self._leave_every = leave_every
        self._random = Random(0)

    async def work(self, until: asyncio.Event) -> None:
        """One caller's work."""
        caller = Caller(self._target, self._random)
        try:
            for number in count(self._random.randrange(self._leave_every)):
                if until.is_set():
                    return
                if number % self._leave_every == 0:
                    await self._leave(caller)
                else:
                    await self._ask(caller)
        finally:
            caller.close()

    async def _ask(self, caller: Caller) -> None:
        call = await caller.ask(next(self._questions))
        judgement = judge(call.question, call.attempts, replica_lost=False)
        self.answers += 1
        if judgement.verdict in BAD:
            self.bad += 1
            self.reasons.append(judgement.reason)

    async def _leave(self, caller: Caller) -> None:
        """Ask, and close the connection before the answer is complete."""
        asking = asyncio.create_task(caller.ask(next(self._questions)))
        await asyncio.wait([asking], timeout=LEAVES_WITHIN_S * self._random.random())
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        caller.close()
        self.left += 1
