"""The two ends of one TCP connection through a link, and what is in flight between them."""

from __future__ import annotations

import asyncio
import math
import socket
import struct
from collections import deque
from typing import cast

from loadtest.link.line import Line

PIECE_BYTES = 4096
"""Larger writes are cut, so that their beginning arrives before their end has been sent."""
QUEUE_BYTES = 256 * 1024
"""Bytes that may wait before the line, beside those in flight; then the sender is not read."""
AT_ONCE_S = 20e-6
"""Pieces that are due this soon are written now rather than by a further timer."""

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of no time: closing sends RST."""


class End(asyncio.Protocol):
    """An end of a connection through the link.

    What this side sends enters `line`, and is written to the `other` side when it comes out.
    """

    def __init__(self, line: Line, loop: asyncio.AbstractEventLoop) -> None:
        self.line = line
        self.other: End | None = None
        self.transport: asyncio.Transport | None = None
        self._loop = loop
        self._in_flight: deque[tuple[float, bytes | None]] = deque()
        self._in_flight_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._receiver_full = False
        self._reading = True
        self._ended = False

    def connect(self, other: End) -> None:
        """Both sides are there: begin to read."""
        self.other, other.other = other, self
        for end in (self, other):
            end.regulate()

    def abort(self) -> None:
        """Drop the connection and all that is in flight, as a cut cable would."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._in_flight.clear()
        if self.transport is not None:
            # Reset rather than end: the peer must not take it for an orderly close.
            link = self.transport.get_extra_info("socket")
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio sets TCP_NODELAY on every TCP connection.
        self.transport = cast(asyncio.Transport, transport)
        self.regulate()

    def data_received(self, data: bytes) -> None:
        now = self._loop.time()
        for begin in range(0, len(data), PIECE_BYTES):
            piece = data[begin : begin + PIECE_BYTES]
            self._in_flight.append((self.line.leave(now, len(piece)), piece))
            self._in_flight_bytes += len(piece)
        self._arm()
        self.regulate()

    def eof_received(self) -> bool:
        self._ended = True
        self._in_flight.append((self.line.leave(self._loop.time(), 0), b""))
        self._arm()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self._in_flight.append((self.line.leave(self._loop.time(), 0), None))
        self._arm()

    def pause_writing(self) -> None:
        self._set_receiver_full(True)

    def resume_writing(self) -> None:
        self._set_receiver_full(False)

    def _set_receiver_full(self, full: bool) -> None:
        if self.other is not None:
            self.other._receiver_full = full
            self.other.regulate()

    def regulate(self) -> None:
        """Read from this side only while what it sends has somewhere to go."""
        conditions = self.line.conditions
        capacity = conditions.delay_s * conditions.bytes_per_s
        room = QUEUE_BYTES + (capacity if math.isfinite(capacity) else 64 * QUEUE_BYTES)
        read = self.other is not None and not self._receiver_full and self._in_flight_bytes < room
        if self.transport is not None and read != self._reading:
            self._reading = read
            (self.transport.resume_reading if read else self.transport.pause_reading)()

    def _arm(self) -> None:
        if self._timer is None and self._in_flight:
            self._timer = self._loop.call_at(self._in_flight[0][0], self._arrive)

    def _arrive(self) -> None:
        self._timer = None
        due = self._loop.time() + AT_ONCE_S
        receiver = self.other.transport if self.other is not None else None
        while self._in_flight and self._in_flight[0][0] <= due:
            _, piece = self._in_flight.popleft()
            if piece:
                self._in_flight_bytes -= len(piece)
            if receiver is None or self.other is None:
                continue
            if piece is None or (not piece and self.other._ended):
                receiver.close()
            elif piece:
                receiver.write(piece)
            elif receiver.can_write_eof() and not receiver.is_closing():
                receiver.write_eof()
        self._arm()
        self.regulate()
