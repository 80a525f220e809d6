"""Frames to one device: the connection as serving sees it, and the queue in front of it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NoReturn, Protocol

from gateway.core.ports import DeviceTelemetry
from gateway.protocol.device_link.speculation import Error, FromGateway, encode

MAX_WAITING = 1 << 20
"""Bytes that may wait for a device. Token ids are few: one that is so far behind is gone."""


class Link(Protocol):
    """One device's connection, as messages in both directions.

    `receive` gives None once the device has left; a text message comes as its UTF-8. `send` may
    wait, and raises OSError when the device is gone.
    """

    async def receive(self) -> bytes | None: ...

    async def send(self, message: bytes) -> None: ...

    async def close(self, code: int, reason: str) -> None: ...


async def flush_forever(added: asyncio.Event, flush: Callable[[], Awaitable[None]]) -> NoReturn:
    """Flush a queue whenever `added` tells that something was put into it."""
    while True:
        await added.wait()
        added.clear()
        await flush()


class Outbox:
    """A bounded queue of frames to one device, in order. `put` never waits, so that one slow device
    holds up nobody; `overflown` is set when too much waits."""

    def __init__(self, link: Link, telemetry: DeviceTelemetry) -> None:
        self._link = link
        self._telemetry = telemetry
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._added = asyncio.Event()
        self.overflown = asyncio.Event()

    def put(self, frame: FromGateway) -> int:
        """Gives the frame's size in bytes; 0 where it was dropped."""
        if self.overflown.is_set():
            return 0
        message = encode(frame)
        self._waiting.append(message)
        self._size += len(message)
        self._added.set()
        if self._size > MAX_WAITING:
            self._waiting.clear()
            self.overflown.set()
        return len(message)

    @property
    def empty(self) -> bool:
        """Whether nothing waits, or is on its way out."""
        return self._size == 0

    def has_room(self, size: int) -> bool:
        """Whether so many bytes more leave half of the room to everything else."""
        return not self.overflown.is_set() and self._size + size <= MAX_WAITING // 2

    def error(
        self,
        code: str,
        message: str,
        s: int | None = None,
        *,
        fatal: bool = False,
        param: str | None = None,
    ) -> int:
        field = param[:64] if param else None
        return self.put(
            Error(code=code[:64], message=message[:1000], s=s, fatal=fatal, param=field)
        )

    async def run(self) -> None:
        """Send frames as they come, for ever. Raises OSError when the device is gone."""
        await flush_forever(self._added, self.flush)

    async def flush(self) -> None:
        while self._waiting:
            message = self._waiting.popleft()
            await self._link.send(message)
            self._size -= len(message)
            self._telemetry.traffic(0, len(message))
