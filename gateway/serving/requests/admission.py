"""The door: lets a bounded number of requests in, and holds the others in order of arrival."""

from __future__ import annotations

import asyncio
from collections import deque

from gateway.core.admission import AdmissionLimits, AdmissionVerdict, admit
from gateway.core.ports import Clock, Telemetry
from gateway.errors import Overloaded


class Admission:
    def __init__(self, limits: AdmissionLimits, clock: Clock, telemetry: Telemetry) -> None:
        self._limits = limits
        self._clock = clock
        self._telemetry = telemetry
        self._inside = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self) -> float:
        """Wait for a place; gives the seconds waited. Every `enter` needs one `leave`.

        Raises Overloaded when the queue is full or the wait too long.
        """
        verdict = admit(self._inside, len(self._waiting), self._limits)
        if verdict is AdmissionVerdict.SHED:
            raise self._overloaded("the gateway's queue is full")
        waited = 0.0
        if verdict is AdmissionVerdict.WAIT:
            waited = await self._wait()
        else:
            self._inside += 1
        self._report()
        return waited

    def leave(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                # The place goes over as it is: nobody can slip in between.
                turn.set_result(None)
                break
        else:
            self._inside -= 1
        self._report()

    async def _wait(self) -> float:
        start = self._clock.now()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._report()
        try:
            async with asyncio.timeout(self._limits.max_wait_s):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self.leave()
            elif turn in self._waiting:
                self._waiting.remove(turn)
                self._report()
            if isinstance(error, TimeoutError):
                raise self._overloaded("no place came free in the gateway's queue") from error
            raise
        return self._clock.now() - start

    def _overloaded(self, why: str) -> Overloaded:
        return Overloaded(
            f"{why}; try again in a moment", retry_after=self._limits.max_wait_s, code="overloaded"
        )

    def _report(self) -> None:
        self._telemetry.load(self._inside, len(self._waiting))
