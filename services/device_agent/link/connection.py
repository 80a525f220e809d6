"""One connection to a gateway: its frames by session, its pings, and why it ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import WebSocketException

from gateway.protocol.device_link import speculation as wire
from services.device_agent.drafting.rate_limit import DraftRateLimit
from services.device_agent.link.link_probes import LinkProbes
from services.device_agent.link.session_channel import SessionChannel

SILENCE_S = 3.0
"""Without a frame for so long, with pings on their way, the connection counts as lost."""

PING_S = 0.5

LOST = "the connection to the gateway failed"
"""How the reason begins, whether reading or sending has found the loss first."""


class LinkLost(Exception):
    """The loss of the connection to the gateway."""


@dataclass(slots=True)
class LinkTraffic:
    """Bytes of frames over all connections of a link."""

    sent: int = 0
    received: int = 0


class Connection:
    """One connection to a gateway that has welcomed the device. `serve` reads it to its end.

    Frames of sessions go to their channels; all others, and what pongs tell, go to `handle`.
    `numbers` gives each session one that no other has. `problem` says why it is over; None: it is
    not. Once it is `draining`, what is under way goes on
    here, and nothing new begins: the gateway is about to stop. `refused` is the code of the error
    with which the gateway ended it.
    """

    def __init__(
        self,
        *,
        websocket: ClientConnection,
        welcome: wire.Welcome,
        numbers: Iterator[int],
        probes: LinkProbes,
        traffic: LinkTraffic,
        handle: Callable[[Connection, wire.FromGateway], None],
    ) -> None:
        self._websocket = websocket
        self._numbers = numbers
        self._probes = probes
        self._traffic = traffic
        self._handle = handle
        self._channels: dict[int, SessionChannel] = {}
        self._places = asyncio.Semaphore(max(1, welcome.max_sessions))
        self._last_frame_at = time.monotonic()
        self._rate_limit = DraftRateLimit(welcome.drafts_per_s, self._last_frame_at)
        self.problem: str | None = None
        self.refused: str | None = None
        self.draining = asyncio.Event()

    @property
    def open_for_sessions(self) -> bool:
        return self.problem is None and not self.draining.is_set()

    async def open(self) -> SessionChannel:
        """A new session. Waits where the gateway takes no more at once. Raises LinkLost."""
        await self._places.acquire()
        if self.problem is not None:
            self._places.release()
            raise LinkLost(self.problem)
        number = next(self._numbers)
        channel = self._channels[number] = SessionChannel(
            number=number,
            release=lambda: self._release(number),
            send=self.send,
            rate_limit=self._rate_limit,
        )
        return channel

    async def send(self, frame: wire.FromDevice) -> None:
        """Raises LinkLost."""
        if self.problem is not None:
            raise LinkLost(self.problem)
        message = wire.encode(frame)
        try:
            await self._websocket.send(message)
        except WebSocketException as exc:
            # Where reading has found the loss before, its reason says more.
            self._end(LOST)
            raise LinkLost(self.problem or LOST) from exc
        self._traffic.sent += len(message)

    async def serve(self) -> None:
        """Until the connection is over, for whatever reason; `problem` then says which."""
        pinging = asyncio.create_task(self._ping())
        try:
            async for message in self._websocket:
                self._receive(message)
                if self.problem is not None:
                    break
            self._end("the gateway closed the connection")
        except Exception as exc:
            # Whatever it was: a device without a link for good would be worse.
            self._end(f"{LOST}: {type(exc).__name__}")
        finally:
            self._end(LOST)
            pinging.cancel()

    def lose_sessions(self) -> None:
        """Tell all sessions that the connection is over."""
        for channel in self._channels.values():
            channel.lose(self.problem or LOST)
            # Who waits for a place hears of it, too.
            self._places.release()
        self._channels.clear()

    async def close(self) -> None:
        self._end(LOST)
        await self._websocket.close()

    def _release(self, number: int) -> None:
        if self._channels.pop(number, None) is not None:
            self._places.release()

    def _receive(self, message: str | bytes) -> None:
        self._last_frame_at = time.monotonic()
        self._traffic.received += len(message)
        frame = decode(message)
        if isinstance(frame, wire.Opened | wire.Tokens | wire.Ahead | wire.Done) or (
            isinstance(frame, wire.Error) and frame.s is not None
        ):
            assert frame.s is not None
            if frame.s in self._channels:
                self._channels[frame.s].put(frame)
            return
        if isinstance(frame, wire.Pong):
            self._probes.answered(frame.n)
        if isinstance(frame, wire.Error):
            if frame.code == wire.DRAINING:
                self.draining.set()
            if frame.fatal:
                self.refused = frame.code
                self._end(frame.message)
        self._handle(self, frame)

    def _end(self, problem: str) -> None:
        self.problem = self.problem or problem

    async def _ping(self) -> None:
        while True:
            if time.monotonic() - self._last_frame_at > SILENCE_S:
                self._end(f"the gateway was silent for {SILENCE_S:g} s")
                # Not close(): frames that wait to be sent would hold it up.
                self._websocket.transport.abort()
                return
            try:
                await self.send(self._probes.next(idle=not self._channels))
            except LinkLost:
                return
            await asyncio.sleep(PING_S if self._probes.warm else PING_S / 10)


def decode(message: str | bytes) -> wire.FromGateway:
    """Raises FrameError."""
    if isinstance(message, str):
        raise wire.FrameError("a text message; frames are binary")
    return wire.decode_from_gateway(message)
