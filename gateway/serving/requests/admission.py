"""Admission: a bounded number of requests runs at once, others queue in the order of arrival."""

from __future__ import annotations

import asyncio
from collections import deque

from gateway.core.admission import AdmissionLimits, AdmissionVerdict, admit
from gateway.core.ports import Clock, Telemetry
from gateway.errors import Overloaded


class Admission:
    """The gate that every request passes: `enter` before its work, `leave` after it.

    `core.admission.admit` decides; this counts and queues. `lifecycle.AdmissionSlot` pairs the two
    calls.
    """

    def __init__(self, limits: AdmissionLimits, clock: Clock, telemetry: Telemetry) -> None:
        self._limits = limits
        self._clock = clock
        self._telemetry = telemetry
        self._inside = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self) -> float:
        """Wait for a place, and give the seconds waited. Every `enter` needs one `leave`.

        Raises Overloaded when the queue is full or the wait is too long.
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
            place = self._waiting.popleft()
            if not place.done():
                # The place is handed over and never free, so that nobody can jump the queue.
                place.set_result(None)
                break
        else:
            self._inside -= 1
        self._report()

    async def _wait(self) -> float:
        start = self._clock.now()
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        self._report()
        try:
            async with asyncio.timeout(self._limits.max_wait_s):
                await place
        except BaseException as error:
            if place.done() and not place.cancelled():
                self.leave()
            elif place in self._waiting:
                self._waiting.remove(place)
                self._report()
            if isinstance(error, TimeoutError):
                raise self._overloaded("no place came free in the gateway's queue") from error
            raise
        return self._clock.now() - start

    def _overloaded(self, cause: str) -> Overloaded:
        return Overloaded(
            f"{cause}; try again in a moment",
            retry_after=self._limits.max_wait_s,
            code="overloaded",
        )

    def _report(self) -> None:
        self._telemetry.load(self._inside, len(self._waiting))
