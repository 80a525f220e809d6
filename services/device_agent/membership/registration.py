"""The device's registration at the gateway: renewed on each connection, retried where refused."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from gateway.protocol.backoff import pause_s
from gateway.protocol.device_link import speculation as wire
from gateway.protocol.device_link import work
from services.device_agent.link.connection import LinkLost
from services.device_agent.membership.active_work import ActiveWork
from services.device_agent.membership.device_state import DeviceState
from services.device_agent.membership.profile import MemberProfile
from services.device_agent.membership.work_item import Send

log = logging.getLogger("tierflow.device")

ANSWER_S = 10.0
"""How long the gateway has to answer; an older version does not, or calls the frame unknown."""

RETRY_S = 90.0
"""The longest pause after a refusal; the shortest is half of it. Its cause seldom goes sooner."""

CHECK_S = 1.0
"""How often a change of the device's state is looked for."""

REFUSALS = ("duplicate_device", "owner_differs", "privacy_not_allowed")
NOT_CONNECTED = "the gateway is not connected"
STOP_S = 5.0
"""How long work that is given up may take to end."""


class Membership:
    """The device's membership: its registration at the gateway, and the work that comes with it.

    `device` is the name under which the gateway has registered it. While it is None, the device is
    not a member, and `reason` says why.
    """

    def __init__(
        self,
        *,
        profile: MemberProfile,
        active_work: ActiveWork,
        state: DeviceState,
        send: Send,
        uniform: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._profile = profile
        self._active_work = active_work
        self._state = state
        self._send = send
        self._uniform = uniform
        self._clock = clock
        self._not_before = 0.0
        self._registering: asyncio.Task[None] | None = None
        self._awaits_answer = False
        self._last_warning = ""
        self._sent: work.Condition | None = None
        self.device: str | None = None
        self.reason = NOT_CONNECTED

    def connected(self) -> None:
        """A connection has just been made."""
        self._start_registering()

    def handle_frame(self, frame: work.FromGateway, send: Send) -> None:
        if isinstance(frame, work.Registered):
            self._stop_registering()
            self.device, self._last_warning = frame.device, ""
            self._active_work.max_work = max(1, min(frame.max_work, self._profile.max_work))
            log.info(
                "registered as %s, for %d pieces of work at once",
                frame.device,
                self._active_work.max_work,
            )
        elif isinstance(frame, work.Recall):
            self._active_work.recall(frame.w, send)
        else:
            self._active_work.start(frame, send)

    def handle_error(self, error: wire.Error) -> bool:
        """For an error about the whole connection; returns whether it is about the registration."""
        ours = error.code in REFUSALS or (self._awaits_answer and not error.fatal)
        if ours:
            self._note_refusal(error.message or error.code)
            self._start_registering()
        return ours

    def disconnected(self) -> None:
        """The registration is over. Work of a connection that is still there goes on."""
        self._stop_registering()
        self.device = None
        if self._clock() >= self._not_before:
            self.reason = NOT_CONNECTED

    def lost(self, send: Send) -> None:
        """This connection is gone, and with it its work."""
        self._active_work.lose(send)

    def status(self) -> dict[str, object]:
        """For /ready."""
        if self.device is not None:
            most, working = self._active_work.max_work, self._active_work.working
            return {"registered": self.device, "max_work": most, "working": working}
        return {"registered": None, "reason": self.reason}

    async def run(self) -> None:
        """Tells the gateway of changes of the device's state, until it is cancelled."""
        reading = asyncio.create_task(self._state.run())
        try:
            while True:
                await self._send_changes()
                await asyncio.sleep(CHECK_S)
        finally:
            reading.cancel()
            self._stop_registering()
            ending = self._active_work.drop()
            if ending:
                await asyncio.wait(ending, timeout=STOP_S)

    async def _send_changes(self) -> None:
        condition = self._state.condition(self._active_work.working)
        if self.device is None or condition == self._sent:
            return
        try:
            await self._send(work.State(condition))
        except LinkLost:
            return
        self._sent = condition

    async def _register(self) -> None:
        """Again and again, until an answer of the gateway cancels it."""
        while True:
            wait = self._not_before - self._clock()
            if wait > 0:
                await asyncio.sleep(wait)
            self.reason = "the gateway has not answered the registration yet"
            condition = self._state.condition(self._active_work.working)
            self._awaits_answer = True
            try:
                await self._send(self._profile.register(condition))
            except LinkLost:
                return
            self._sent = condition
            await asyncio.sleep(ANSWER_S)
            self._note_refusal(f"the gateway did not answer the registration in {ANSWER_S:g} s")

    def _note_refusal(self, reason: str) -> None:
        if self._last_warning != reason:
            log.warning("not registered: %s", reason)
        self.device, self.reason, self._last_warning = None, reason, reason
        self._awaits_answer = False
        pause = pause_s(1, self._uniform(), first_s=RETRY_S, longest_s=RETRY_S)
        self._not_before = self._clock() + pause

    def _start_registering(self) -> None:
        self._stop_registering()
        self.device = None
        self._registering = asyncio.create_task(self._register())

    def _stop_registering(self) -> None:
        self._awaits_answer = False
        if self._registering is not None:
            self._registering.cancel()
            self._registering = None
