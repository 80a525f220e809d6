"""The device's registration at the gateway: made anew on each connection, retried where refused."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from gateway.protocol import speculation as wire
from gateway.protocol import work
from services.device_agent.link import LinkLost
from services.device_agent.membership.conditions import Conditions
from services.device_agent.membership.performing import Send
from services.device_agent.membership.profile import Profile
from services.device_agent.membership.workload import Workload

log = logging.getLogger("tierflow.device")

ANSWER_S = 10.0
"""For the gateway's answer; one of an older version has none, or says that the frame is unknown."""

AGAIN_S = 60.0
"""About so long after a refusal it is tried again: what is refused is seldom mended sooner."""

TELL_S = 1.0
"""How often changes of the condition are looked for."""

REFUSALS = ("duplicate_device", "owner_differs", "privacy_not_allowed")
NOT_CONNECTED = "the gateway is not connected"
STOP_S = 5.0


class Membership:
    """Takes the frames that are about it from the link. `device` is the name that the gateway
    registered it under; None while it is no member, and `reason` says why."""

    def __init__(
        self,
        profile: Profile,
        workload: Workload,
        conditions: Conditions,
        send: Send,
        uniform: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._profile = profile
        self._workload = workload
        self._conditions = conditions
        self._send = send
        self._uniform = uniform
        self._clock = clock
        self._not_before = 0.0
        self._registering: asyncio.Task[None] | None = None
        self._asked = False
        self._warned = ""
        self._told: work.Condition | None = None
        self.device: str | None = None
        self.reason = NOT_CONNECTED

    def welcomed(self) -> None:
        """A connection has just been made."""
        self._start_registering()

    def take(self, frame: work.FromGateway) -> None:
        if isinstance(frame, work.Registered):
            self._stop_registering()
            self.device, self._warned = frame.device, ""
            self._workload.max_work = max(1, min(frame.max_work, self._profile.max_work))
            log.info("registered as %s, %d at once", frame.device, self._workload.max_work)
        elif isinstance(frame, work.Recall):
            self._workload.recall(frame.w)
        else:
            self._workload.take(frame)

    def heard(self, error: wire.Error) -> bool:
        """An error about the whole connection has come; whether it is about the registration."""
        ours = error.code in REFUSALS or (self._asked and not error.fatal)
        if ours:
            self._refused(error.message or error.code)
            self._start_registering()
        return ours

    def lost(self) -> None:
        """The connection is gone, and with it all work."""
        self._stop_registering()
        self.device = None
        if self._clock() >= self._not_before:
            self.reason = NOT_CONNECTED
        self._workload.drop()

    def status(self) -> dict[str, object]:
        """For /ready."""
        if self.device is not None:
            most, working = self._workload.max_work, self._workload.working
            return {"registered": self.device, "max_work": most, "working": working}
        return {"registered": None, "reason": self.reason}

    async def run(self) -> None:
        """Tells the gateway what changes, until cancelled."""
        reading = asyncio.create_task(self._conditions.run())
        try:
            while True:
                await self._tell()
                await asyncio.sleep(TELL_S)
        finally:
            reading.cancel()
            self._stop_registering()
            ending = self._workload.drop()
            if ending:
                await asyncio.wait(ending, timeout=STOP_S)

    async def _tell(self) -> None:
        now = self._conditions.now(self._workload.working)
        if self.device is None or now == self._told:
            return
        try:
            await self._send(work.State(now))
        except LinkLost:
            return
        self._told = now

    async def _register(self) -> None:
        """Until the gateway has answered; whoever hears the answer ends this."""
        while True:
            wait = self._not_before - self._clock()
            if wait > 0:
                await asyncio.sleep(wait)
            self.reason = "the gateway has not answered the registration yet"
            condition = self._conditions.now(self._workload.working)
            self._asked = True
            try:
                await self._send(self._profile.register(condition))
            except LinkLost:
                return
            self._told = condition
            await asyncio.sleep(ANSWER_S)
            self._refused(f"no answer to the registration in {ANSWER_S:g} s")

    def _refused(self, why: str) -> None:
        if self._warned != why:
            log.warning("not registered: %s", why)
        self.device, self.reason, self._warned, self._asked = None, why, why, False
        self._not_before = self._clock() + AGAIN_S * (0.5 + self._uniform())

    def _start_registering(self) -> None:
        self._stop_registering()
        self.device = None
        self._registering = asyncio.create_task(self._register())

    def _stop_registering(self) -> None:
        self._asked = False
        if self._registering is not None:
            self._registering.cancel()
            self._registering = None
