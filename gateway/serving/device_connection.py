"""One device's connection: its lease, its frames, and the sessions that it has opened."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from gateway.core.ports import DeviceTelemetry
from gateway.core.speculation.bucket import Bucket
from gateway.core.speculation.session import DraftRefused
from gateway.protocol import speculation as wire
from gateway.serving.link import Link, Outbox
from gateway.serving.session_start import BadOpen, start
from gateway.serving.speculation import Session, Speculation
from gateway.serving.watchdog import Watchdog

LIES = 100.0
"""Frames that lie until a connection is closed; one is forgiven each second."""
REMEMBERED = 4096
"""Ended sessions whose late drafts pass without a word."""
FAREWELL_S = 1.0
NORMAL, GOING_AWAY, POLICY = 1000, 1001, 1008


@dataclass(frozen=True, slots=True)
class DeviceLimits:
    """Seconds, sessions at once, and draft tokens a second; each per device."""

    lease_s: float = 15.0
    heartbeat_s: float = 5.0
    max_sessions: int = 64
    drafts_per_s: float = 4000.0


class Ended(Exception):
    """The connection is over, by our own decision."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class DeviceConnection:
    def __init__(
        self,
        link: Link,
        device: str,
        limits: DeviceLimits,
        speculation: Speculation,
        telemetry: DeviceTelemetry,
    ) -> None:
        self._link = link
        self._device = device
        self._limits = limits
        self._speculation = speculation
        self._telemetry = telemetry
        self._clock = speculation.clock
        self._outbox = Outbox(link, telemetry)
        self._lies = Bucket(LIES, 1.0)
        self._drafts = Bucket(max(limits.drafts_per_s, wire.MAX_DRAFT_TOKENS), limits.drafts_per_s)
        self._sessions: dict[int, tuple[Session, asyncio.Task[None]]] = {}
        self._ended: OrderedDict[int, None] = OrderedDict()
        self._greeted = False
        self._over: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()

    def end(self, code: str, message: str) -> None:
        """From outside: close it, telling the device why."""
        if not self._over.done():
            self._over.set_result(Ended(code, message))

    async def run(self) -> None:
        """To the end. All work that engines do for it ends with it."""
        reading = asyncio.create_task(self._read())
        writing = asyncio.create_task(self._outbox.run())
        full = asyncio.create_task(self._outbox.overflown.wait())
        try:
            ends: list[asyncio.Future[Any]] = [reading, writing, full, self._over]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            tasks: list[asyncio.Task[Any]] = [reading, writing, full]
            for session, task in self._sessions.values():
                session.mute()
                tasks.append(task)
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        if self._over.done():
            await self._farewell(self._over.result())
        elif isinstance(results[0], Ended):
            await self._farewell(results[0])
        elif results[2] is True:
            self._telemetry.refused("too_slow")
            await self._close(POLICY, "too_slow")
        elif isinstance(results[0], Exception) and not isinstance(results[0], OSError):
            raise results[0]

    async def _farewell(self, ended: Ended) -> None:
        self._telemetry.refused(ended.code)
        self._outbox.error(ended.code, ended.message, fatal=True)
        try:
            async with asyncio.timeout(FAREWELL_S):
                await self._outbox.flush()
        except (TimeoutError, OSError):
            pass
        await self._close(POLICY, ended.code)

    async def _close(self, code: int, reason: str) -> None:
        try:
            async with asyncio.timeout(FAREWELL_S):
                await self._link.close(code, reason)
        except (TimeoutError, OSError):
            pass

    async def _read(self) -> None:
        """Take frames until the device leaves. Raises Ended."""
        lease_s, now = self._limits.lease_s, self._clock.now

        def lapsed() -> Ended:
            return Ended("lease_expired", f"no frame in {lease_s:g} s; ping in between")

        with Watchdog(now) as watchdog:
            watchdog.expect(lease_s, lapsed)
            while (message := await self._link.receive()) is not None:
                watchdog.extend(now() + lease_s)
                self._telemetry.traffic(len(message), 0)
                try:
                    frame = wire.decode_from_device(message)
                except wire.FrameError as error:
                    self._lie("bad_frame", str(error))
                else:
                    self._take(frame)

    def _take(self, frame: wire.FromDevice) -> None:
        if not self._greeted:
            self._hello(frame)
        elif isinstance(frame, wire.Draft):
            self._draft(frame)
        elif isinstance(frame, wire.Open):
            self._open(frame)
        elif isinstance(frame, wire.Cancel):
            self._cancel(frame)
        elif isinstance(frame, wire.Ping):
            self._telemetry.link(frame.round_trip_s, frame.bytes_per_s)
            self._outbox.put(wire.Pong(frame.n, self._speculation.verifiers.offers()))
        else:
            self._lie("bad_frame", "hello: only the first frame is one")

    def _hello(self, frame: wire.FromDevice) -> None:
        if not isinstance(frame, wire.Hello):
            raise Ended("hello_expected", "the first frame must be hello")
        if frame.version != wire.VERSION:
            raise Ended(
                "version_unsupported",
                f"version {frame.version} of the protocol; this gateway speaks {wire.VERSION}",
            )
        self._greeted = True
        limits = self._limits
        self._outbox.put(
            wire.Welcome(
                wire.VERSION,
                self._device,
                limits.lease_s,
                limits.heartbeat_s,
                max_sessions=limits.max_sessions,
                offers=self._speculation.verifiers.offers(),
            )
        )

    def _open(self, frame: wire.Open) -> None:
        if frame.s in self._sessions or frame.s in self._ended:
            # Not fatal: it must not end the session that has the number.
            self._lie("session_exists", f"s: {frame.s} was used before; take a new number", frame.s)
        elif len(self._sessions) >= self._limits.max_sessions:
            self._forget(frame.s)
            self._lie(
                "too_many_sessions",
                f"at most {self._limits.max_sessions} sessions at once; wait for a done",
                frame.s,
                fatal=True,
            )
        else:
            try:
                session = start(self._speculation, frame, self._device, self._outbox)
            except BadOpen as error:
                self._forget(frame.s)
                self._lie("bad_open", str(error), frame.s, fatal=True)
                return
            task = asyncio.create_task(session.run())
            self._sessions[frame.s] = session, task
            task.add_done_callback(lambda _: self._session_over(frame.s))

    def _session_over(self, s: int) -> None:
        session, _ = self._sessions.pop(s)
        self._forget(s)
        # One that was cancelled before its task ran for the first time said nothing itself.
        session.bye("cancelled")

    def _forget(self, s: int) -> None:
        self._ended[s] = None
        if len(self._ended) > REMEMBERED:
            self._ended.popitem(last=False)

    def _draft(self, frame: wire.Draft) -> None:
        found = self._sessions.get(frame.s)
        if not self._drafts.take(len(frame.i), self._clock.now()):
            rate = self._limits.drafts_per_s
            self._lie("flood", f"more than {rate:g} draft tokens a second; it is dropped", frame.s)
        elif found is not None:
            try:
                found[0].draft(frame)
            except DraftRefused as error:
                self._lie(error.code, error.message, frame.s)
        elif frame.s not in self._ended:
            self._lie("unknown_session", f"s: there is no session {frame.s}", frame.s)

    def _cancel(self, frame: wire.Cancel) -> None:
        if (found := self._sessions.get(frame.s)) is not None:
            found[1].cancel()
        elif frame.s not in self._ended:
            self._lie("unknown_session", f"s: there is no session {frame.s}", frame.s)

    def _lie(self, code: str, message: str, s: int | None = None, *, fatal: bool = False) -> None:
        """Answer a frame that no well-behaved device sends. Raises Ended when it is one of many."""
        self._telemetry.refused(code)
        self._outbox.error(code, message, s, fatal=fatal)
        if not self._lies.take(1.0, self._clock.now()):
            raise Ended("too_many_errors", "too many frames that had to be refused")
