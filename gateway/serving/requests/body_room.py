"""The room for callers' bodies: how many bytes of them the gateway holds at once."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from gateway.core.admission import ShedReason
from gateway.core.bodies.body_outline import SMALL_BYTES
from gateway.core.ports import Telemetry
from gateway.errors import GatewayError, Overloaded, RequestRateExceeded

RETRY_AFTER_S = 1.0
RESERVE_PARTS = 16
"""The reserve is this part of the room, beside it."""


class BodyRoom:
    """The bytes of all bodies that are in memory, `max_bytes` at most. They come in before
    admission and are needed until their request has ended, so this is their only bound.

    Where it is full, bodies still under way of the callers that hold most give way to one of a
    caller that holds less. Beside it there is a reserve for callers that hold no more than one
    small body.
    """

    def __init__(self, max_bytes: int, telemetry: Telemetry) -> None:
        self.max_bytes = max_bytes
        self.telemetry = telemetry
        self.used = 0
        self._shares: dict[str, int] = {}
        self._arriving: dict[str, dict[HeldBody, None]] = {}

    def find(self, caller: str, size: int) -> bool:
        """Whether there is room for so many more bytes of this caller, made where it must be."""
        missing = self.used + size - self.max_bytes
        if missing <= 0:
            return True
        share = self._shares.get(caller, 0) + size
        if share <= SMALL_BYTES and missing <= self.max_bytes // RESERVE_PARTS:
            return True
        leaving = self._to_give_way(share, missing)
        for body in leaving:
            body.give_way()
        return bool(leaving)

    def add(self, caller: str, size: int) -> None:
        """Bytes that a caller holds; fewer than none where it holds them no longer."""
        self.used += size
        share = self._shares.get(caller, 0) + size
        if share:
            self._shares[caller] = share
        else:
            self._shares.pop(caller, None)

    def arrives(self, body: HeldBody) -> int:
        """Note that a body is under way; how many of its caller's are."""
        bodies = self._arriving.setdefault(body.caller, {})
        bodies[body] = None
        return len(bodies)

    def arrived(self, body: HeldBody) -> None:
        bodies = self._arriving.get(body.caller, {})
        bodies.pop(body, None)
        if not bodies:
            self._arriving.pop(body.caller, None)

    def _to_give_way(self, share: int, missing: int) -> list[HeldBody]:
        """Bodies of callers with more than `share` bytes that have `missing` together; none where
        there are too few."""
        shares = {caller: self._shares.get(caller, 0) for caller in self._arriving}
        chosen: dict[HeldBody, None] = {}
        while missing > 0 and shares:
            caller = max(shares, key=shares.__getitem__)
            if shares[caller] <= share:
                break
            others = [body for body in self._arriving[caller] if body not in chosen]
            if not others:
                del shares[caller]
                continue
            body = max(others, key=lambda each: each.bytes)
            chosen[body] = None
            shares[caller] -= body.bytes
            missing -= body.bytes
        return list(chosen) if missing <= 0 else []


def _nothing() -> None:
    pass


class HeldBody:
    """The block in which one request's body is held; blocks may be nested, and may end in any
    order. `grow` by each piece that comes.

    `caller` tells callers apart, and `key` is the name of the key that may have `most` bodies under
    way at once (None: any number). `forget` is called where the body gives way to another's.
    """

    __slots__ = (
        "_arriving", "_blocks", "_refusal", "_room", "bytes", "caller", "forget", "key", "most",
    )  # fmt: skip

    def __init__(self, room: BodyRoom) -> None:
        self.caller = self.key = ""
        self.most: int | None = None
        self.forget: Callable[[], None] = _nothing
        self.bytes = 0
        self._room = room
        self._blocks = 0
        self._arriving = False
        self._refusal: GatewayError | None = None

    def grow(self, size: int, *, more: bool = False) -> bool:
        """`more` is to come. False: there is no room for this piece, or was none for another
        caller's. Then the whole body is given up."""
        if more and not self._arriving:
            self._arrive()
        if self._refusal is None and not self._room.find(self.caller, size):
            self.give_way()
        if self._refusal is not None:
            return False
        self._room.add(self.caller, size)
        self.bytes += size
        return True

    def give_way(self) -> None:
        """Give the body up for want of room."""
        self._give_up(
            Overloaded(
                "the bodies of other requests fill the gateway's room for them "
                "(limits.max_bodies_bytes); try again in a moment",
                retry_after=RETRY_AFTER_S,
                code="overloaded",
            )
        )

    def check(self) -> None:
        """The body is there: it no longer gives way. Raises Overloaded and RequestRateExceeded
        where it was given up."""
        self._settle()
        if self._refusal is not None:
            if isinstance(self._refusal, Overloaded):
                self._room.telemetry.shed(ShedReason.BODIES)
            raise self._refusal

    def _arrive(self) -> None:
        self._arriving = True
        bodies = self._room.arrives(self)
        if self.most is not None and bodies > self.most:
            self._give_up(
                RequestRateExceeded(
                    f"rate limit reached for the key {self.key}: requests in flight (limit "
                    f"{self.most}), of which so many are still being sent",
                    retry_after=RETRY_AFTER_S,
                    code="rate_limit_exceeded",
                )
            )

    def _give_up(self, refusal: GatewayError) -> None:
        self._refusal = self._refusal or refusal
        self._release()
        self.forget()
        self._settle()

    def _settle(self) -> None:
        self.forget = _nothing
        if self._arriving:
            self._room.arrived(self)

    def _release(self) -> None:
        self._room.add(self.caller, -self.bytes)
        self.bytes = 0

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
            self._settle()
            self._release()
