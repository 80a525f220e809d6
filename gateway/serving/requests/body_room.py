"""The room for callers' bodies: how many bytes of them the gateway holds at once."""

from __future__ import annotations

from types import TracebackType

from gateway.core.admission import ShedReason
from gateway.core.ports import Telemetry
from gateway.errors import Overloaded

RETRY_AFTER_S = 1.0


class BodyRoom:
    """The bytes of all bodies that are in memory, `max_bytes` at most. They come in before
    admission and are needed until their request has ended, so this is their only bound."""

    def __init__(self, max_bytes: int, telemetry: Telemetry) -> None:
        self.max_bytes = max_bytes
        self.telemetry = telemetry
        self.used = 0


class HeldBody:
    """The block in which one request's body is held; blocks may be nested, and may end in any
    order. `grow` by each piece that comes."""

    __slots__ = ("_blocks", "_bytes", "_room", "_room_left")

    def __init__(self, room: BodyRoom) -> None:
        self._room = room
        self._bytes = self._blocks = 0
        self._room_left = True

    def grow(self, size: int) -> bool:
        """False: there is no room for this piece. Then the whole body is given up."""
        room = self._room
        if self._room_left and room.used + size > room.max_bytes:
            self._release()
            self._room_left = False
        if self._room_left:
            room.used += size
            self._bytes += size
        return self._room_left

    def check(self) -> None:
        """Raises Overloaded where the body was given up."""
        if not self._room_left:
            self._room.telemetry.shed(ShedReason.BODIES)
            raise Overloaded(
                "the bodies of other requests fill the gateway's room for them "
                "(limits.max_bodies_bytes); try again in a moment",
                retry_after=RETRY_AFTER_S,
                code="overloaded",
            )

    def _release(self) -> None:
        self._room.used -= self._bytes
        self._bytes = 0

    def __enter__(self) -> HeldBody:
        self._blocks += 1
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._blocks -= 1
        if not self._blocks:
            self._release()
