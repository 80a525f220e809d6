"""What a device says, and what is done about it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

from gateway.core.devices.grant import RegistrationRefused, duplicate
from gateway.core.ports import DeviceTelemetry
from gateway.core.speculation.session import DraftRefused
from gateway.core.token_bucket import TokenBucket
from gateway.protocol import speculation as wire
from gateway.protocol import work
from gateway.serving.devices.drafting.context import DraftingDeps
from gateway.serving.devices.drafting.session import DraftingSession
from gateway.serving.devices.drafting.session_start import BadOpen, start
from gateway.serving.devices.membership import Membership
from gateway.serving.devices.outbox import Outbox
from gateway.serving.devices.work import ProtocolViolation, WorkLimits

FRAMES_PER_S = 5000.0
FRAMES_AT_ONCE = 500.0
"""Of all kinds, pings too: more than any device needs, and little enough for everybody else."""
VIOLATIONS = 100.0
"""Frames that lie until a connection is closed; one is forgiven each second."""
LARGEST_DRAFT = wire.MAX_RUNS * (wire.MAX_DRAFT_TOKENS + 1)
REMEMBERED = 4096
"""Ended sessions whose late drafts pass without a word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceLimits:
    """Seconds, sessions at once, and draft tokens a second; each per device."""

    lease_s: float = 15.0
    heartbeat_s: float = 5.0
    max_sessions: int = 64
    drafts_per_s: float = 10_000.0
    work: WorkLimits = WorkLimits()


class ConnectionEnded(Exception):
    """The connection is over, by our own decision."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class FrameHandler:
    """Takes one device's frames, and holds the sessions that it has opened."""

    def __init__(
        self,
        *,
        membership: Membership,
        limits: DeviceLimits,
        speculation: DraftingDeps,
        telemetry: DeviceTelemetry,
        outbox: Outbox,
    ) -> None:
        self._device = membership.grant.device
        self._membership = membership
        self._limits = limits
        self._speculation = speculation
        self._telemetry = telemetry
        self._outbox = outbox
        self._clock = speculation.clock
        self._lies = TokenBucket(burst=VIOLATIONS, per_s=1.0)
        self._frames = TokenBucket(burst=FRAMES_AT_ONCE, per_s=FRAMES_PER_S)
        self._opens = TokenBucket(burst=limits.max_sessions, per_s=limits.max_sessions)
        self._drafts = TokenBucket(
            burst=max(limits.drafts_per_s, LARGEST_DRAFT), per_s=limits.drafts_per_s
        )
        self._sessions: dict[int, tuple[DraftingSession, asyncio.Task[None]]] = {}
        self._ended: OrderedDict[int, None] = OrderedDict()
        self._greeted = False
        self._size = 0

    def take(self, message: bytes) -> None:
        """Raises Ended when that was one frame too many."""
        self._size = len(message)
        if not self._frames.spend(1.0, self._clock.now()):
            raise ConnectionEnded("too_many_frames", f"more than {FRAMES_PER_S:g} frames a second")
        try:
            frame = wire.decode_from_device(message)
        except wire.FrameError as error:
            self._lie("bad_frame", str(error))
        else:
            self._take(frame)

    def dismiss(self) -> list[asyncio.Task[None]]:
        """The tasks of all sessions, silenced: the caller must cancel them. Work fails at once."""
        for session, _ in self._sessions.values():
            session.mute()
        return [*self._membership.leave(), *(task for _, task in self._sessions.values())]

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
            self._membership.link(frame.round_trip_s, frame.bytes_per_s)
            self._outbox.put(wire.Pong(frame.n, self._speculation.verifiers.offers()))
        elif isinstance(frame, wire.Hello):
            self._lie("bad_frame", "hello: only the first frame is one")
        else:
            self._member(frame)

    def _member(self, frame: work.FromDevice) -> None:
        """A frame of one that is registered, or wants to be."""
        try:
            self._membership.take(frame, self._size, self._clock.now())
        except ProtocolViolation as lie:
            self._lie(lie.code, lie.message)
        except RegistrationRefused as refused:
            raise ConnectionEnded(refused.code, refused.message) from refused

    def _hello(self, frame: wire.FromDevice) -> None:
        if not isinstance(frame, wire.Hello):
            raise ConnectionEnded("hello_expected", "the first frame must be hello")
        if frame.version != wire.VERSION:
            raise ConnectionEnded(
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
                drafts_per_s=limits.drafts_per_s,
                offers=self._speculation.verifiers.offers(),
            )
        )

    def _open(self, frame: wire.Open) -> None:
        if not self._membership.may_draft():
            refused = duplicate()
            raise ConnectionEnded(refused.code, refused.message)
        if frame.s in self._sessions or frame.s in self._ended:
            # Not fatal: it must not end the session that has the number.
            self._lie("session_exists", f"s: {frame.s} was used before; take a new number", frame.s)
        elif len(self._sessions) >= self._limits.max_sessions:
            self._refuse(
                frame.s,
                "too_many_sessions",
                f"at most {self._limits.max_sessions} sessions at once; wait for a done",
            )
        elif not self._opens.spend(1.0, self._clock.now()):
            self._refuse(
                frame.s,
                "flood",
                f"more than {self._limits.max_sessions} sessions opened a second; open it later",
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
            session.heard(self._size)
            task.add_done_callback(lambda _: self._session_over(frame.s))

    def _refuse(self, s: int, code: str, message: str) -> None:
        """Not open a session: a busy device's misfortune, and no lie."""
        self._forget(s)
        self._telemetry.refused(code)
        self._outbox.error(code, message, s, fatal=True)

    def _session_over(self, s: int) -> None:
        session, _ = self._sessions.pop(s)
        self._forget(s)
        # One that was cancelled before its task ran for the first time said nothing itself.
        session.cancelled()

    def _forget(self, s: int) -> None:
        self._ended[s] = None
        if len(self._ended) > REMEMBERED:
            self._ended.popitem(last=False)

    def _draft(self, frame: wire.Draft) -> None:
        found = self._sessions.get(frame.s)
        if not self._drafts.spend(frame.weight, self._clock.now()):
            rate = self._limits.drafts_per_s
            self._lie("flood", f"more than {rate:g} draft tokens a second; it is dropped", frame.s)
        elif found is not None:
            found[0].heard(self._size)
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
        if not self._lies.spend(1.0, self._clock.now()):
            raise ConnectionEnded("too_many_errors", "too many frames that had to be refused")
