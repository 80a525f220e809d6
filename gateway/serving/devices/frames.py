"""Frames of one device: each is checked, and carried out by its session or its membership."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from gateway.core.bounded_dict import BoundedDict
from gateway.core.devices.grant import RegistrationRefused, duplicate
from gateway.core.ports import DeviceTelemetry
from gateway.core.speculation.session import DraftRefused
from gateway.core.token_bucket import TokenBucket
from gateway.protocol.device_link import speculation as wire
from gateway.protocol.device_link import work
from gateway.serving.devices.drafting.session import BadOpen, DraftingDeps, DraftingSession
from gateway.serving.devices.outbox import Outbox
from gateway.serving.devices.registration import Membership
from gateway.serving.devices.work import ProtocolViolation, WorkLimits

FRAMES_PER_S = 5000.0
FRAMES_AT_ONCE = 500.0
"""Of all kinds, pings too: more than any device needs, and little enough for everybody else."""
MAX_VIOLATIONS = 100.0
"""Frames that break the protocol until a connection is closed; one is forgiven each second."""
LARGEST_DRAFT = wire.MAX_RUNS * (wire.MAX_DRAFT_TOKENS + 1)
MAX_ENDED = 4096
"""Ended sessions that are remembered: their late drafts are passed over in silence."""

ELSEWHERE = "this gateway is about to stop; connect again, to another replica"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceLimits:
    """Limits per device: seconds, sessions at once, and draft tokens a second."""

    lease_s: float
    heartbeat_s: float
    max_sessions: int
    drafts_per_s: float
    work: WorkLimits


class ConnectionEnded(Exception):
    """The end of a connection by the gateway, with its reason."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class FrameHandler:
    """The handler of one device's frames, with the sessions that the device has opened."""

    def __init__(
        self,
        *,
        membership: Membership,
        limits: DeviceLimits,
        drafting: DraftingDeps,
        telemetry: DeviceTelemetry,
        outbox: Outbox,
    ) -> None:
        self._device = membership.grant.device
        self._membership = membership
        self._limits = limits
        self._drafting = drafting
        self._telemetry = telemetry
        self._outbox = outbox
        self._clock = drafting.clock
        self._violations = TokenBucket(burst=MAX_VIOLATIONS, per_s=1.0)
        self._frames = TokenBucket(burst=FRAMES_AT_ONCE, per_s=FRAMES_PER_S)
        self._opens = TokenBucket(burst=limits.max_sessions, per_s=limits.max_sessions)
        self._drafts = TokenBucket(
            burst=max(limits.drafts_per_s, LARGEST_DRAFT), per_s=limits.drafts_per_s
        )
        self._sessions: dict[int, tuple[DraftingSession, asyncio.Task[None]]] = {}
        self._ended = BoundedDict[int, None](MAX_ENDED)
        self._greeted = False
        self._draining = False
        self._size = 0

    @property
    def busy(self) -> bool:
        """Whether a session, work or a frame to the device is under way."""
        working = self._membership.work_table.in_flight > 0
        return bool(self._sessions) or working or not self._outbox.empty

    def drain(self) -> None:
        """Tell the device to connect elsewhere. What is under way goes on; nothing new begins."""
        self._draining = True
        self._membership.withdraw()
        self._outbox.error(wire.DRAINING, ELSEWHERE)

    def handle(self, message: bytes) -> None:
        """Carry out one frame. Raises ConnectionEnded when that was one frame too many."""
        self._size = len(message)
        if not self._frames.spend(1.0, self._clock.now()):
            raise ConnectionEnded("too_many_frames", f"more than {FRAMES_PER_S:g} frames a second")
        try:
            frame = wire.decode_from_device(message)
        except wire.FrameError as error:
            self._violation("bad_frame", str(error))
        else:
            self._handle(frame)

    def close(self) -> list[asyncio.Task[None]]:
        """End all sessions and work without a word to the device. Gives the sessions' tasks, which
        the caller must cancel."""
        for session, _ in self._sessions.values():
            session.mute()
        return [*self._membership.leave(), *(task for _, task in self._sessions.values())]

    def _handle(self, frame: wire.FromDevice) -> None:
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
            self._membership.link_measured(frame.round_trip_s, frame.bytes_per_s)
            self._outbox.put(wire.Pong(frame.n, self._drafting.verifiers.offers()))
        elif isinstance(frame, wire.Hello):
            self._violation("bad_frame", "hello: only the first frame may be hello")
        else:
            self._member_frame(frame)

    def _member_frame(self, frame: work.FromDevice) -> None:
        """A frame about the device's registration or its work."""
        try:
            self._membership.handle(frame, self._size, self._clock.now())
        except ProtocolViolation as violation:
            self._violation(violation.code, violation.message)
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
                version=wire.VERSION,
                device=self._device,
                lease_s=limits.lease_s,
                heartbeat_s=limits.heartbeat_s,
                max_sessions=limits.max_sessions,
                drafts_per_s=limits.drafts_per_s,
                offers=self._drafting.verifiers.offers(),
            )
        )

    def _open(self, frame: wire.Open) -> None:
        if self._draining:
            self._refuse(frame.s, wire.DRAINING, ELSEWHERE)
            return
        if not self._membership.may_draft():
            refused = duplicate()
            raise ConnectionEnded(refused.code, refused.message)
        if frame.s in self._sessions or frame.s in self._ended:
            # Not fatal: it must not end the session that has the number.
            self._violation(
                "session_exists", f"s: {frame.s} was used before; take a new number", frame.s
            )
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
                session = DraftingSession(
                    deps=self._drafting, frame=frame, device=self._device, outbox=self._outbox
                )
            except BadOpen as error:
                self._ended[frame.s] = None
                self._violation("bad_open", str(error), frame.s, fatal=True)
                return
            task = asyncio.create_task(session.run())
            self._sessions[frame.s] = session, task
            session.count_received(self._size)
            task.add_done_callback(lambda _: self._session_over(frame.s))

    def _refuse(self, s: int, code: str, message: str) -> None:
        """Refuse to open a session. Its device is only too busy, so this counts as no violation."""
        self._ended[s] = None
        self._telemetry.refused(code)
        self._outbox.error(code, message, s, fatal=True)

    def _session_over(self, s: int) -> None:
        session, _ = self._sessions.pop(s)
        self._ended[s] = None
        # A session that is cancelled before its task has run at all says nothing itself.
        session.confirm_cancelled()

    def _draft(self, frame: wire.Draft) -> None:
        session, _ = self._sessions.get(frame.s, (None, None))
        if not self._drafts.spend(frame.weight, self._clock.now()):
            rate = self._limits.drafts_per_s
            self._violation(
                "flood", f"more than {rate:g} draft tokens a second; it is dropped", frame.s
            )
        elif session is not None:
            session.count_received(self._size)
            try:
                session.draft(frame)
            except DraftRefused as error:
                self._violation(error.code, error.message, frame.s)
        elif frame.s not in self._ended:
            self._violation("unknown_session", f"s: there is no session {frame.s}", frame.s)

    def _cancel(self, frame: wire.Cancel) -> None:
        if frame.s in self._sessions:
            _, task = self._sessions[frame.s]
            task.cancel()
        elif frame.s not in self._ended:
            self._violation("unknown_session", f"s: there is no session {frame.s}", frame.s)

    def _violation(
        self, code: str, message: str, s: int | None = None, *, fatal: bool = False
    ) -> None:
        """Answer a frame that no well-behaved device sends. Raises ConnectionEnded after many."""
        self._telemetry.refused(code)
        self._outbox.error(code, message, s, fatal=fatal)
        if not self._violations.spend(1.0, self._clock.now()):
            raise ConnectionEnded("too_many_errors", "too many frames broke the protocol")
