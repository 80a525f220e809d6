"""How the gateway ends without cutting anybody off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from gateway.core.admission import ShedReason
from gateway.core.ports import Clock, Telemetry
from gateway.errors import Draining
from gateway.serving.requests.admission import Admission

BUSY_NOTICE_S = 2.0
"""The notice where none is configured, while requests run."""
LAST_WORDS_S = 3.0
"""How long it may take to tell callers that their answers end."""
QUIET_S = 1.0
"""How long nothing may have run before a gateway counts as idle that was not when its drain began.
A client that asks one question after the other on one connection sends the next one within this
time, and is then told to leave."""
LOOK_S = 0.05

log = structlog.get_logger("tierflow.drain")


@dataclass(frozen=True, slots=True)
class DrainTimes:
    """How long the steps of a drain last, in seconds. `notice_s` None: as long as requests run,
    for BUSY_NOTICE_S at most."""

    notice_s: float | None
    drain_s: float


class Drain:
    """The gateway's way to its end, in three steps: it says that it is not ready and takes requests
    all the same, so that balancers leave it in peace; it takes none on new connections, and what
    runs may go on; what still runs then ends with an error that says so.

    All the while each answer tells its client to leave the connection, so a connection brings one
    more request at most. That one is answered: a client can't know better.

    `leave` is called as the second step begins, to send devices elsewhere. `others` counts what the
    second step waits for beside requests: devices that have not gone, and streams whose callers
    have not had everything and may come back.
    """

    def __init__(
        self,
        *,
        admission: Admission,
        times: DrainTimes,
        clock: Clock,
        telemetry: Telemetry,
        leave: Callable[[], None],
        others: Callable[[], int],
    ) -> None:
        self._admission = admission
        self._times = times
        self._clock = clock
        self._telemetry = telemetry
        self._leave = leave
        self._others = others
        self.begun = self.closed = False
        self._began = 0.0

    @property
    def condition(self) -> str | None:
        """What `/ready` says of it."""
        if not self.begun:
            return None
        if not self.closed:
            return "the gateway is about to stop; it takes requests for a moment still"
        return (
            f"the gateway stops and takes no more requests; {self._admission.held} have not ended"
        )

    def refusal(self) -> Draining:
        """What a request gets that comes too late; it is counted."""
        self._telemetry.shed(ShedReason.DRAINING)
        return Draining(
            "this gateway is about to stop and takes no more requests; send it again, and another "
            "answers",
            retry_after=1.0,
            code="draining",
        )

    async def run(self, hurry: Callable[[], bool], closed: Callable[[], None]) -> None:
        """Return when nothing runs any more. `hurry`: whether to pass over what is left of the
        steps; it is looked at all the time. `closed` is called when new connections come too
        late."""
        self._began, self.begun = self._clock.now(), True
        log.info("drain_started", requests=self._admission.held)
        await self._wait_for_balancers(hurry)
        self.closed = True
        closed()
        self._leave()
        await self._until(lambda: self._idle() and not self._others(), self._times.drain_s, hurry)
        ended = self._admission.end_all(drained)
        await self._until(lambda: self._admission.held == 0, LAST_WORDS_S)
        level = log.warning if ended else log.info
        level("drain_ended", ended=ended, seconds=round(self._clock.now() - self._began, 3))

    async def _wait_for_balancers(self, hurry: Callable[[], bool]) -> None:
        notice_s = self._times.notice_s
        if notice_s is None:
            await self._until(self._idle, BUSY_NOTICE_S, hurry)
        else:
            await self._until(lambda: False, notice_s, hurry)

    def _idle(self) -> bool:
        idle_s = self._admission.idle_s
        return idle_s >= QUIET_S or idle_s > self._clock.now() - self._began

    async def _until(
        self,
        done: Callable[[], bool],
        seconds: float,
        hurry: Callable[[], bool] = lambda: False,
    ) -> None:
        deadline = self._clock.now() + seconds
        while not done() and not hurry() and (left := deadline - self._clock.now()) > 0:
            await asyncio.sleep(min(LOOK_S, left))


def drained() -> Draining:
    """For a request that had not ended when the gateway had to."""
    return Draining(
        "this gateway had to stop before the answer was complete (lifecycle.drain_s); send the "
        "request again",
        retry_after=1.0,
        code="drained",
    )
