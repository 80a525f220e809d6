"""Admission: a bounded number of requests runs at once, and a bounded number waits its turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gateway.core.admission import (
    AdmissionLimits,
    AdmissionQueue,
    ShedReason,
    expected_wait_s,
    is_hopeless,
    retry_after_s,
)
from gateway.core.endpoints.estimate import Estimate
from gateway.core.ports import Clock, Telemetry
from gateway.core.types import InferenceRequest
from gateway.core.upstream_errors import deadline_exceeded
from gateway.errors import GatewayError, Overloaded


class Entrant(Protocol):
    """Who wants to get in, or is inside. `end` makes its work end with this error."""

    @property
    def request(self) -> InferenceRequest: ...

    def end(self, error: GatewayError) -> None: ...


@dataclass(slots=True, eq=False, kw_only=True)
class WaitingPlace:
    """An entrant's place in the queue; `entry` is done once it is let in or refused."""

    caller: str
    priority: int
    entrant: Entrant
    entry: asyncio.Future[None]


class Admission:
    """The gate that every request passes: `enter` before its work, `leave` after it.

    `core.admission` has the rules; this counts and waits. `lifecycle.AdmissionSlot` pairs the two
    calls.
    """

    def __init__(self, limits: AdmissionLimits, clock: Clock, telemetry: Telemetry) -> None:
        self._limits = limits
        self._clock = clock
        self._telemetry = telemetry
        self._inside: dict[Entrant, float] = {}
        self._queue: AdmissionQueue[WaitingPlace] = AdmissionQueue()
        self._service_s = Estimate(prior=1.0, weight=0.05)
        self._left_at = float("-inf")

    @property
    def held(self) -> int:
        """Requests that are inside or wait."""
        return len(self._inside) + len(self._queue)

    @property
    def idle_s(self) -> float:
        """For how long nobody has been inside; 0: somebody is, or waits."""
        return 0.0 if self.held else self._clock.now() - self._left_at

    def end_all(self, error: Callable[[], GatewayError]) -> int:
        """End all that are inside or wait, and give their number."""
        ended = self.held
        for place in self._queue:
            if not place.entry.done():
                place.entry.set_exception(error())
        for entrant in tuple(self._inside):
            entrant.end(error())
        return ended

    async def enter(self, entrant: Entrant) -> float:
        """Wait for a place, and give the seconds waited. Every `enter` needs one `leave`.

        Raises Overloaded when the queue is full or the wait is too long, DeadlineExceeded when the
        request's deadline passes before, or will for certain, and what `end_all` was given.
        """
        waited = 0.0
        if self._queue or len(self._inside) >= self._limits.max_in_flight:
            waited = await self._wait(entrant)
        else:
            self._inside[entrant] = self._clock.now()
            self._report()
        return waited

    def leave(self, entrant: Entrant) -> None:
        now = self._left_at = self._clock.now()
        self._service_s.observe(now - self._inside.pop(entrant), now)
        while place := self._queue.pop():
            if not place.entry.done():
                # The place is handed over and never free, so that nobody can jump the queue.
                self._inside[place.entrant] = now
                place.entry.set_result(None)
                break
        self._report()

    async def _wait(self, entrant: Entrant) -> float:
        start, request = self._clock.now(), entrant.request
        caller, priority = request.caller.id, request.demands.priority
        remaining_s = request.remaining_s(start)
        self._refuse_hopeless(caller, priority, remaining_s)
        self._make_room(caller, priority)
        entry: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        place = WaitingPlace(caller=caller, priority=priority, entrant=entrant, entry=entry)
        self._queue.push(place)
        self._report()
        seconds = self._limits.max_wait_s
        try:
            async with asyncio.timeout(
                seconds if remaining_s is None else min(seconds, remaining_s)
            ):
                await entry
        except BaseException as error:
            self._withdraw(place)
            if isinstance(error, TimeoutError):
                raise self._too_late(remaining_s) from error
            raise
        return self._clock.now() - start

    def _withdraw(self, place: WaitingPlace) -> None:
        if place.entrant in self._inside:
            self.leave(place.entrant)
        elif self._queue.remove(place):
            self._report()

    def _refuse_hopeless(self, caller: str, priority: int, remaining_s: float | None) -> None:
        service_s = self._known_service_s()
        if remaining_s is None or service_s is None:
            return
        ahead = self._queue.ahead_of(caller, priority)
        if is_hopeless(remaining_s, expected_wait_s(ahead, service_s, self._limits)):
            raise self._too_late(remaining_s)

    def _make_room(self, caller: str, priority: int) -> None:
        """Raises Overloaded where the queue is full and nobody gives way."""
        if len(self._queue) < self._limits.max_queue:
            return
        victim = self._queue.victim_of(caller, priority)
        if victim is None:
            raise self._overloaded(ShedReason.QUEUE_FULL, "the gateway's queue is full")
        self._queue.remove(victim)
        if not victim.entry.done():
            cause = "the gateway's queue is full, and others come first"
            victim.entry.set_exception(self._overloaded(ShedReason.DISPLACED, cause))

    def _too_late(self, remaining_s: float | None) -> GatewayError:
        if remaining_s is not None and remaining_s <= self._limits.max_wait_s:
            self._telemetry.shed(ShedReason.DEADLINE)
            return deadline_exceeded("a place came free in the gateway's queue")
        return self._overloaded(ShedReason.WAIT, "no place came free in the gateway's queue")

    def _overloaded(self, reason: ShedReason, cause: str) -> Overloaded:
        self._telemetry.shed(reason)
        seconds = retry_after_s(len(self._queue), self._known_service_s(), self._limits)
        return Overloaded(f"{cause}; try again in a moment", retry_after=seconds, code="overloaded")

    def _known_service_s(self) -> float | None:
        """How long a request is inside, in seconds; None before one has ended."""
        if self._service_s.mean is None:
            return None
        return self._service_s.at(self._clock.now())

    def _report(self) -> None:
        self._telemetry.load(len(self._inside), len(self._queue))
