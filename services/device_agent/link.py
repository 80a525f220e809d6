"""The one outbound connection to the gateway: kept up, measured, shared by all sessions."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from gateway.protocol import speculation as wire
from gateway.protocol import work
from services.device_agent.channel import Channel
from services.device_agent.drafting.allowance import Allowance
from services.device_agent.probes import Probes

log = logging.getLogger("tierflow.device")

CONNECT_S = 5.0
SILENCE_S = 3.0
"""Without a frame for so long, with pings on their way, the link counts as lost."""

PING_S = 0.5
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 15.0

DOUBLED = ("replaced", "duplicate_device")
"""Errors that tell of another device with the same token."""

LOST = "the connection to the gateway failed"
"""Whoever finds it out first, reading or sending: the reason that is told begins the same."""


class LinkLost(Exception):
    """There is no connection now."""


class TokenMissing(Exception):
    """There is no device token, and none can be had; one line that says why."""


class Member(Protocol):
    """What the gateway gives work to. All its methods return at once."""

    def welcomed(self) -> None:
        """A connection has just been made."""
        ...

    def take(self, frame: work.FromGateway) -> None: ...

    def heard(self, error: wire.Error) -> bool:
        """Whether an error without a session is about its registration."""
        ...

    def lost(self) -> None: ...


class Link:
    """`run` keeps it up until cancelled. `gateway` is a URL as in http://host:8080.

    `token` gives the device's token, and raises TokenMissing. `member`, where there is one, hears
    of work. `problem` says why it is down (None: it is up); `offers` is what can be asked of the
    gateway.
    """

    def __init__(
        self,
        gateway: str,
        token: Callable[[], Awaitable[str]],
        agent: str,
        jitter: Callable[[], float],
    ) -> None:
        self._url = websocket_url(gateway)
        self._token = token
        self._agent = agent
        self._jitter = jitter
        self._connection: ClientConnection | None = None
        self._channels: dict[int, Channel] = {}
        self._numbers = itertools.count(1)
        self._heard = 0.0
        self.probes = Probes(time.monotonic)
        self.offers: dict[str, wire.Offer] = {}
        self.models: dict[str, wire.Offer] = {}
        self.problem: str | None = "not connected yet"
        self.sent_bytes = 0
        self.received_bytes = 0
        self.connects = 0
        self.member: Member | None = None
        self._doubled = False
        self._places = asyncio.Semaphore(wire.MAX_SESSIONS)
        self.allowance = Allowance(0.0, 0.0)

    @property
    def up(self) -> bool:
        return self.problem is None

    async def run(self) -> None:
        pause = FIRST_PAUSE_S
        while True:
            started = time.monotonic()
            try:
                await self._connected()
            except TokenMissing as exc:
                self._down(str(exc))
            except InvalidStatus as exc:
                self._down(refusal(exc.response.status_code))
            except Exception as exc:
                # Whatever it was: a device without a link for good would be worse.
                self._down(f"{LOST}: {type(exc).__name__}")
            finally:
                self._lose_all()
            if self._doubled:
                # Two with one token would otherwise throw each other out without end.
                pause, self._doubled = LONGEST_PAUSE_S, False
            elif time.monotonic() - started > pause:
                # It held for a while: the next try need not wait as long as after a failure.
                pause = FIRST_PAUSE_S
            await asyncio.sleep(pause * (0.5 + self._jitter()))
            pause = min(2 * pause, LONGEST_PAUSE_S)

    async def open(self, request: Callable[[int], wire.Open]) -> tuple[Channel, wire.Open]:
        """A new session; `request` gets its number. The caller sends the frame, and must `close`.

        Waits for a place where the gateway takes no more at once. Raises LinkLost.
        """
        places = self._places
        await places.acquire()
        if not self.up:
            places.release()
            raise LinkLost(self.problem)
        number = next(self._numbers)
        channel = self._channels[number] = Channel(number, places.release)
        return channel, request(number)

    def close(self, channel: Channel) -> None:
        self._channels.pop(channel.number, None)
        channel.leave()

    async def send(self, frame: wire.FromDevice) -> None:
        """Raises LinkLost."""
        if self._connection is None:
            raise LinkLost(self.problem)
        message = wire.encode(frame)
        try:
            await self._connection.send(message)
        except WebSocketException as exc:
            # Where the reader has found out before, it knows more.
            raise LinkLost(self.problem or LOST) from exc
        self.sent_bytes += len(message)

    async def _connected(self) -> None:
        token = await self._token()
        async with connect(
            self._url,
            additional_headers={"Authorization": f"Bearer {token}"},
            open_timeout=CONNECT_S,
            close_timeout=1.0,
            ping_interval=None,
            compression=None,
            max_size=wire.MAX_FRAME_BYTES,
            proxy=None,
        ) as connection:
            await connection.send(wire.encode(wire.Hello(wire.VERSION, self._agent)))
            async with asyncio.timeout(CONNECT_S):
                frame = _decode(await connection.recv())
            if not isinstance(frame, wire.Welcome):
                raise wire.FrameError("the gateway's first frame is no welcome")
            self._connection, self.problem = connection, None
            self._heard = time.monotonic()
            self.connects += 1
            self._offered(frame.offers)
            self.allowance = Allowance(frame.drafts_per_s, self._heard)
            self._places = asyncio.Semaphore(max(1, frame.max_sessions))
            log.info("connected to the gateway as %s", frame.device)
            if self.member is not None:
                self.member.welcomed()
            pinging = asyncio.create_task(self._ping())
            try:
                await self._receive(connection)
            except ConnectionClosed:
                if self.up:
                    raise
            finally:
                pinging.cancel()

    async def _receive(self, connection: ClientConnection) -> None:
        async for message in connection:
            self._heard = time.monotonic()
            self.received_bytes += len(message)
            frame = _decode(message)
            if isinstance(frame, wire.Pong):
                self.probes.answered(frame.n)
                self._offered(frame.offers)
            elif isinstance(frame, wire.Error) and frame.s is None:
                if self.member is None or not self.member.heard(frame):
                    log.warning("the gateway says %s: %s", frame.code, frame.message)
                if frame.fatal:
                    self._doubled = frame.code in DOUBLED
                    self._down(frame.message)
                    return
            elif isinstance(frame, work.FromGateway):
                if self.member is not None:
                    self.member.take(frame)
            elif (
                isinstance(frame, wire.Opened | wire.Tokens | wire.Done | wire.Error)
                and frame.s in self._channels
            ):
                self._channels[frame.s].put(frame)
        self._down("the gateway closed the connection")

    async def _ping(self) -> None:
        while True:
            if time.monotonic() - self._heard > SILENCE_S and self._connection is not None:
                self._down(f"the gateway was silent for {SILENCE_S:g} s")
                # What waits to be sent would hold up a polite close.
                self._connection.transport.abort()
                return
            try:
                await self.send(self.probes.next(idle=not self._channels))
            except LinkLost:
                return
            await asyncio.sleep(PING_S if self.probes.warm else PING_S / 10)

    def _offered(self, offers: list[wire.Offer]) -> None:
        # The first of a tier is its default, and the first of a model its nearest.
        self.offers = {offer.tier: offer for offer in reversed(offers)}
        self.models = {offer.model: offer for offer in reversed(offers)}

    def _down(self, problem: str) -> None:
        if self.problem != problem:
            log.warning("no link: %s", problem)
        self.problem = problem

    def _lose_all(self) -> None:
        self._connection = None
        self.problem = self.problem or LOST
        self.offers, self.models = {}, {}
        for channel in self._channels.values():
            channel.lose(self.problem)
        self._channels.clear()
        if self.member is not None:
            self.member.lost()


def websocket_url(gateway: str) -> str:
    """Raises ValueError for what is no http:// or https:// URL."""
    scheme, separator, rest = gateway.partition("://")
    if not separator or scheme not in ("http", "https") or not rest:
        raise ValueError(f"{gateway!r} is not an http:// or https:// URL")
    return f"{'wss' if scheme == 'https' else 'ws'}://{rest.rstrip('/')}{wire.PATH}"


def refusal(status: int) -> str:
    if status in (401, 403):
        return "the gateway refuses the device token: ask its operator for a new one"
    return f"the gateway answered {status} to the connection"


def _decode(message: str | bytes) -> wire.FromGateway:
    if isinstance(message, str):
        raise wire.FrameError("a text message: frames are binary")
    return wire.decode_from_gateway(message)


def uniform() -> float:
    return random.random()
