"""The link to the gateway: a connection that is kept up, made anew elsewhere where it is lost."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from websockets.asyncio.client import ClientConnection

from gateway.protocol.backoff import pause_s
from gateway.protocol.device_link import speculation as wire
from gateway.protocol.device_link import work
from services.device_agent.link.connection import LOST, Connection, LinkLost, LinkTraffic
from services.device_agent.link.gateway_tls import BY_THE_SYSTEM, GatewayTls, TlsFilesUnusable
from services.device_agent.link.greeting import (
    ConnectionRefused,
    TokenMissing,
    greeted,
    unreachable,
)
from services.device_agent.link.link_probes import LinkProbes
from services.device_agent.link.session_channel import SessionChannel

log = logging.getLogger("tierflow.device")

CONNECT_S = 5.0
CONNECT_OTHERS_S = 2.0
"""For a connection where another gateway could be tried instead."""
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 15.0
MAX_FAILURES = 8
"""After so many in a row the pause is the longest."""

RECONNECT_S = 3.0
"""An answer whose connection is lost waits so long for another one, before it goes on alone."""
TRIES = 3
"""Failed connections to each gateway after which none of them counts as within reach. Behind one
address there may be several, of which one has just died."""

TOKEN_IN_USE = ("replaced", "duplicate_device")
"""Codes of errors that another device with the same token causes."""

Send = Callable[[wire.FromDevice], Awaitable[None]]


class Member(Protocol):
    """The part of the agent to which the gateway gives work. All its methods return at once.

    `send` stands for the connection that a frame came on, and takes what answers it.
    """

    def connected(self) -> None:
        """A connection has just been made, on which the device is to register."""
        ...

    def handle_frame(self, frame: work.FromGateway, send: Send) -> None: ...

    def handle_error(self, error: wire.Error) -> bool:
        """For an error without a session; returns whether it is about the registration."""
        ...

    def disconnected(self) -> None:
        """The registration is over, with the connection or because its gateway stops."""
        ...

    def lost(self, send: Send) -> None:
        """This connection is gone, and with it all work that came on it."""
        ...


class Link:
    """The link to the gateway, which `run` keeps up until it is cancelled.

    `gateways` are URLs as in http://host:8080, one at least: the next one is tried where a
    connection fails. `token` gives the device's token, and raises TokenMissing. `agent` is the
    program's name and version. `uniform` draws from 0 to 1. `member`, where there is one, is given
    the frames about work. `problem` says why the link is down (None: it is up). `offers` holds what
    the gateway offers by tier, `models` by the model's name.

    A gateway that is about to stop says so. The link then connects elsewhere at once, while
    sessions and work that are under way go on to their end on the old connection.
    """

    def __init__(
        self,
        *,
        gateways: Sequence[str],
        token: Callable[[], Awaitable[str]],
        agent: str,
        uniform: Callable[[], float],
        tls: GatewayTls = BY_THE_SYSTEM,
    ) -> None:
        self._tls = tls
        self._gateways = list(gateways)
        self._next = 0
        self._token = token
        self._agent = agent
        self._uniform = uniform
        self._current: Connection | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count(1)
        self._moving = False
        self._hopeful_until = 0.0
        self._tries_left = 0
        self._news = asyncio.Event()
        self.probes = LinkProbes(time.monotonic)
        self.traffic = LinkTraffic()
        self.offers: dict[str, wire.Offer] = {}
        self.models: dict[str, wire.Offer] = {}
        self.problem: str | None = "not connected yet"
        self.connects = 0
        self.member: Member | None = None

    @property
    def up(self) -> bool:
        return self.problem is None

    def in_order(self) -> list[str]:
        """The gateways' URLs, that of the gateway that is connected, or tried next, first."""
        return self._gateways[self._next :] + self._gateways[: self._next]

    async def run(self) -> None:
        failures = 0
        self._hope(TRIES)
        try:
            while True:
                started = time.monotonic()
                connection = await self._connect()
                if connection is not None:
                    await self._use(connection)
                failures += 1
                if time.monotonic() - started > self._pause_s(failures, 1.0):
                    # It held for a while: the next try need not wait as long as after a failure.
                    failures = 1
                if connection is not None and connection.refused in TOKEN_IN_USE:
                    # Two with one token would otherwise throw each other out without end.
                    failures, self._tries_left = MAX_FAILURES * len(self._gateways), 0
                    self._tell()
                else:
                    self._next = (self._next + 1) % len(self._gateways)
                # A round over all gateways counts as one failure.
                rounds = -(-failures // len(self._gateways))
                await asyncio.sleep(self._pause_s(rounds, self._uniform()))
        finally:
            for task in self._serving:
                task.cancel()
            await asyncio.gather(*self._serving, return_exceptions=True)

    def _pause_s(self, failures: int, uniform: float) -> float:
        return pause_s(failures, uniform, first_s=FIRST_PAUSE_S, longest_s=LONGEST_PAUSE_S)

    async def open(self) -> SessionChannel:
        """A new session, which the caller must `release`. Waits where the gateway takes no more at
        once, and while the link moves to another gateway. Raises LinkLost."""
        await self.settle()
        connection = self._current
        if connection is None or not connection.open_for_sessions:
            raise LinkLost(self.problem or LOST)
        return await connection.open()

    async def send(self, frame: wire.FromDevice) -> None:
        """Raises LinkLost."""
        if self._current is None:
            raise LinkLost(self.problem)
        await self._current.send(frame)

    async def settle(self) -> bool:
        """Whether new sessions can be opened. Waits while a connection may come soon: for
        RECONNECT_S after a loss at most, and until every gateway has been tried in vain."""
        try:
            async with asyncio.timeout(RECONNECT_S):
                # Who sends may see a loss before who reads, and who reads hopes anew.
                while self._current is not None and self._current.problem is not None:
                    await self._news.wait()
            async with asyncio.timeout_at(self._hopeful_until):
                while self._current is None or not self._current.open_for_sessions:
                    if self._tries_left <= 0:
                        return False
                    await self._news.wait()
        except TimeoutError:
            return False
        return True

    async def offer_again(self, model: str) -> wire.Offer | None:
        """What a gateway offers for this model, once one is connected again. None where no gateway
        can be reached, or none offers it soon."""
        if not await self.settle():
            return None
        try:
            async with asyncio.timeout(RECONNECT_S):
                while self.up and model not in self.models:
                    await self._news.wait()
        except TimeoutError:
            pass
        return self.models.get(model)

    def _hope(self, tries: int) -> None:
        """A connection may come soon: each gateway is tried so many times from now on."""
        self._hopeful_until = asyncio.get_running_loop().time() + RECONNECT_S
        self._tries_left = tries * len(self._gateways)

    async def _connect(self) -> Connection | None:
        """A connection to the gateway whose turn it is; None where that fails."""
        gateway = self._gateways[self._next]
        seconds = CONNECT_OTHERS_S if len(self._gateways) > 1 else CONNECT_S
        try:
            websocket, welcome = await greeted(
                gateway,
                token=await self._token(),
                agent=self._agent,
                seconds=seconds,
                tls=self._tls,
            )
        except (TokenMissing, TlsFilesUnusable, ConnectionRefused) as exc:
            self._not_connected(str(exc))
        except Exception as exc:
            # Whatever it was: a device without a link for good would be worse.
            self._not_connected(f"{LOST}: {unreachable(gateway, exc)}")
        else:
            return self._connected(websocket, welcome, gateway)
        return None

    def _connected(
        self, websocket: ClientConnection, welcome: wire.Welcome, gateway: str
    ) -> Connection:
        connection = Connection(
            websocket=websocket,
            welcome=welcome,
            numbers=self._numbers,
            probes=self.probes,
            traffic=self.traffic,
            handle=self._handle,
        )
        self.connects += 1
        self._current, self.problem, self._moving = connection, None, False
        self._set_offers(welcome.offers)
        log.info("connected to the gateway as %s, at %s", welcome.device, gateway)
        if self.member is not None:
            self.member.connected()
        self._tell()
        return connection

    async def _use(self, connection: Connection) -> None:
        """Until the connection is over, or its gateway sends the device elsewhere."""
        serving = asyncio.create_task(self._serve(connection))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)
        draining = asyncio.create_task(connection.draining.wait())
        try:
            await asyncio.wait({serving, draining}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            draining.cancel()
        if connection.draining.is_set() and self._current is connection:
            log.info("the gateway is about to stop; connecting elsewhere")
            self._moving = True
            self._hope(1)
            if self.member is not None:
                self.member.disconnected()

    async def _serve(self, connection: Connection) -> None:
        try:
            await connection.serve()
        finally:
            # First of all: who hears of the loss may ask for another connection.
            if self._current is connection and not connection.draining.is_set():
                self._hope(TRIES)
                self._lose_current(connection.problem or LOST)
            connection.lose_sessions()
            if self.member is not None:
                self.member.lost(connection.send)
            await connection.close()

    def _handle(self, connection: Connection, frame: wire.FromGateway) -> None:
        """A frame that is no session's."""
        member = self.member
        if isinstance(frame, wire.Pong):
            if connection is self._current:
                self._set_offers(frame.offers)
                self._tell()
        elif isinstance(frame, wire.Error):
            expected = connection.draining.is_set()
            if not expected and (member is None or not member.handle_error(frame)):
                log.warning("the gateway says %s: %s", frame.code, frame.message)
        elif isinstance(frame, work.FromGateway) and member is not None:
            if connection is self._current or not isinstance(frame, work.Registered):
                member.handle_frame(frame, connection.send)

    def _set_offers(self, offers: list[wire.Offer]) -> None:
        # The first of a tier is its default, and the first of a model its nearest.
        self.offers = {offer.tier: offer for offer in reversed(offers)}
        self.models = {offer.model: offer for offer in reversed(offers)}

    def _not_connected(self, problem: str) -> None:
        self._tries_left -= 1
        self._lose_current(problem)

    def _lose_current(self, problem: str) -> None:
        """No connection takes sessions any more; one to a gateway that stops may still serve
        those that it has."""
        if self.problem != problem:
            log.warning("no link: %s", problem)
        registered = self._current is not None and not self._moving
        self._current, self._moving, self.problem = None, False, problem
        self.offers, self.models = {}, {}
        if registered and self.member is not None:
            self.member.disconnected()
        self._tell()

    def _tell(self) -> None:
        """Wake all who wait for a change."""
        news, self._news = self._news, asyncio.Event()
        news.set()
