"""The one outbound connection to the gateway: kept up, measured, shared by all sessions."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from gateway.protocol import speculation as wire
from gateway.protocol import work
from gateway.protocol.backoff import pause_s
from services.device_agent.drafting.rate_limit import DraftRateLimit
from services.device_agent.link.link_probes import LinkProbes
from services.device_agent.link.session_channel import SessionChannel

log = logging.getLogger("tierflow.device")

CONNECT_S = 5.0
SILENCE_S = 3.0
"""Without a frame for so long, with pings on their way, the link counts as lost."""

PING_S = 0.5
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 15.0
MAX_FAILURES = 8
"""After so many in a row the pause is the longest."""

MAX_REASON = 300
"""Characters of the gateway's words that are repeated to the user."""

TOKEN_IN_USE = ("replaced", "duplicate_device")
"""Codes of errors that another device with the same token causes."""

LOST = "the connection to the gateway failed"
"""How the reason begins, whether reading or sending has found the loss first."""


class LinkLost(Exception):
    """The loss of the connection to the gateway."""


class TokenMissing(Exception):
    """The agent has no device token and can't get one; one line that says why."""


class Member(Protocol):
    """The part of the agent to which the gateway gives work. All its methods return at once."""

    def connected(self) -> None:
        """A connection has just been made."""
        ...

    def handle_frame(self, frame: work.FromGateway) -> None: ...

    def handle_error(self, error: wire.Error) -> bool:
        """For an error without a session; returns whether it is about the registration."""
        ...

    def disconnected(self) -> None: ...


class Link:
    """The connection to the gateway, which `run` keeps up until it is cancelled.

    `gateway` is a URL as in http://host:8080. `token` gives the device's token, and raises
    TokenMissing. `agent` is the program's name and version. `uniform` draws from 0 to 1. `member`,
    where there is one, is given the frames about work. `problem` says why the link is down (None:
    it is up). `offers` holds what the gateway offers by tier, `models` by the model's name.
    """

    def __init__(
        self,
        *,
        gateway: str,
        token: Callable[[], Awaitable[str]],
        agent: str,
        uniform: Callable[[], float],
    ) -> None:
        self._url = websocket_url(gateway)
        self._token = token
        self._agent = agent
        self._uniform = uniform
        self._connection: ClientConnection | None = None
        self._channels: dict[int, SessionChannel] = {}
        self._numbers = itertools.count(1)
        self._last_frame_at = 0.0
        self.probes = LinkProbes(time.monotonic)
        self.offers: dict[str, wire.Offer] = {}
        self.models: dict[str, wire.Offer] = {}
        self.problem: str | None = "not connected yet"
        self.sent_bytes = 0
        self.received_bytes = 0
        self.connects = 0
        self.member: Member | None = None
        self._token_in_use = False
        self._places = asyncio.Semaphore(wire.MAX_SESSIONS)
        self.rate_limit = DraftRateLimit(0.0, 0.0)

    @property
    def up(self) -> bool:
        return self.problem is None

    async def run(self) -> None:
        failures = 0
        while True:
            started = time.monotonic()
            try:
                await self._connect()
            except TokenMissing as exc:
                self._down(str(exc))
            except InvalidStatus as exc:
                self._down(refusal(exc.response.status_code, bytes(exc.response.body)))
            except Exception as exc:
                # Whatever it was: a device without a link for good would be worse.
                self._down(f"{LOST}: {type(exc).__name__}")
            finally:
                self._lose_all()
            failures += 1
            if time.monotonic() - started > self._pause_s(failures, 1.0):
                # It held for a while: the next try need not wait as long as after a failure.
                failures = 1
            if self._token_in_use:
                # Two with one token would otherwise throw each other out without end.
                failures, self._token_in_use = MAX_FAILURES, False
            await asyncio.sleep(self._pause_s(failures, self._uniform()))

    def _pause_s(self, failures: int, uniform: float) -> float:
        return pause_s(failures, uniform, first_s=FIRST_PAUSE_S, longest_s=LONGEST_PAUSE_S)

    async def open(self, request: Callable[[int], wire.Open]) -> tuple[SessionChannel, wire.Open]:
        """A new session; `request` makes its first frame from the session's number.

        The caller sends that frame, and must `close` the channel. Waits where the gateway takes no
        more sessions at once. Raises LinkLost.
        """
        places = self._places
        await places.acquire()
        if not self.up:
            places.release()
            raise LinkLost(self.problem)
        number = next(self._numbers)
        channel = self._channels[number] = SessionChannel(number, places.release)
        return channel, request(number)

    def close(self, channel: SessionChannel) -> None:
        self._channels.pop(channel.number, None)
        channel.release()

    async def send(self, frame: wire.FromDevice) -> None:
        """Raises LinkLost."""
        if self._connection is None:
            raise LinkLost(self.problem)
        message = wire.encode(frame)
        try:
            await self._connection.send(message)
        except WebSocketException as exc:
            # Where reading has found the loss before, its reason says more.
            raise LinkLost(self.problem or LOST) from exc
        self.sent_bytes += len(message)

    async def _connect(self) -> None:
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
                raise wire.FrameError("the gateway's first frame must be welcome")
            self._connection, self.problem = connection, None
            self._last_frame_at = time.monotonic()
            self.connects += 1
            self._set_offers(frame.offers)
            self.rate_limit = DraftRateLimit(frame.drafts_per_s, self._last_frame_at)
            self._places = asyncio.Semaphore(max(1, frame.max_sessions))
            log.info("connected to the gateway as %s, at %s", frame.device, self._url)
            if self.member is not None:
                self.member.connected()
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
            self._last_frame_at = time.monotonic()
            self.received_bytes += len(message)
            frame = _decode(message)
            if isinstance(frame, wire.Pong):
                self.probes.answered(frame.n)
                self._set_offers(frame.offers)
            elif isinstance(frame, wire.Error) and frame.s is None:
                if self.member is None or not self.member.handle_error(frame):
                    log.warning("the gateway says %s: %s", frame.code, frame.message)
                if frame.fatal:
                    self._token_in_use = frame.code in TOKEN_IN_USE
                    self._down(frame.message)
                    return
            elif isinstance(frame, work.FromGateway):
                if self.member is not None:
                    self.member.handle_frame(frame)
            elif (
                isinstance(frame, wire.Opened | wire.Tokens | wire.Done | wire.Error)
                and frame.s in self._channels
            ):
                self._channels[frame.s].put(frame)
        self._down("the gateway closed the connection")

    async def _ping(self) -> None:
        while True:
            if time.monotonic() - self._last_frame_at > SILENCE_S and self._connection is not None:
                self._down(f"the gateway was silent for {SILENCE_S:g} s")
                # Not close(): frames that wait to be sent would hold it up.
                self._connection.transport.abort()
                return
            try:
                await self.send(self.probes.next(idle=not self._channels))
            except LinkLost:
                return
            await asyncio.sleep(PING_S if self.probes.warm else PING_S / 10)

    def _set_offers(self, offers: list[wire.Offer]) -> None:
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
            self.member.disconnected()


def websocket_url(gateway: str) -> str:
    """Raises ValueError for anything but an http:// or https:// URL."""
    scheme, separator, rest = gateway.partition("://")
    if not separator or scheme not in ("http", "https") or not rest:
        raise ValueError(f"{gateway!r} is not an http:// or https:// URL")
    return f"{'wss' if scheme == 'https' else 'ws'}://{rest.rstrip('/')}{wire.PATH}"


def refusal(status: int, body: bytes) -> str:
    """Why the gateway has refused the connection, in its own words where its answer has any."""
    reason = reason_in(body)
    if status in (401, 403):
        return f"the gateway refuses the device token: {reason or 'ask its operator for a new one'}"
    return f"the gateway answered {status} to the connection" + (f": {reason}" if reason else "")


def reason_in(body: bytes) -> str:
    """The message of a gateway's error on one line, cut to MAX_REASON; empty without one."""
    try:
        message = json.loads(body)["error"]["message"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return " ".join(message.split())[:MAX_REASON] if isinstance(message, str) else ""


def _decode(message: str | bytes) -> wire.FromGateway:
    if isinstance(message, str):
        raise wire.FrameError("a text message; frames are binary")
    return wire.decode_from_gateway(message)
