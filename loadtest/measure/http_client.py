"""A light HTTP/1.1 client connection that notes when each piece of an answer arrived.

Several times cheaper than a full client, so that the load generator does not become what is
measured. It trusts its server: for benchmarks only.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import cast

import httptools

from loadtest.measure.command import BenchmarkFailure


@dataclass(frozen=True, slots=True)
class Target:
    """The address of a server: where requests go."""

    host: str
    port: int


@dataclass(slots=True, kw_only=True)
class Exchange:
    """A request and its answer. Times are seconds on `time.monotonic`.

    `status` is 0 until there is one. `pieces` are the body as it arrived: (time, bytes) each.
    """

    sent: float
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    pieces: list[tuple[float, bytes]] = field(default_factory=list)
    done: float = 0.0

    @property
    def latency(self) -> float:
        """Seconds until the whole answer was there."""
        return self.done - self.sent

    @property
    def first_piece(self) -> float:
        """Seconds until the body began; the whole latency where there is no body."""
        return (self.pieces[0][0] if self.pieces else self.done) - self.sent

    @property
    def body(self) -> bytes:
        return b"".join(piece for _, piece in self.pieces)


class BrokenAnswer(BenchmarkFailure):
    """A connection that ended before its answer did; `exchange` holds what had come."""

    def __init__(self, message: str, exchange: Exchange) -> None:
        super().__init__(message)
        self.exchange = exchange


def post(
    path: str, fields: Mapping[str, object], headers: Mapping[str, str] | None = None
) -> bytes:
    """A whole POST request with a JSON body, ready to be written."""
    body = json.dumps(fields).encode()
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in (headers or {}).items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def get(path: str, headers: Mapping[str, str] | None = None) -> bytes:
    """A whole GET request, ready to be written."""
    lines = [f"GET {path} HTTP/1.1", "Host: localhost"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def refusal(status: int, body: bytes) -> BenchmarkFailure:
    """The failure that a reply other than 200 is."""
    text = body[:300].decode("utf-8", "replace")
    return BenchmarkFailure(f"a request was answered with {status}: {text}")


class Connection(asyncio.Protocol):
    """A kept-alive connection with at most one request under way."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._exchange: Exchange | None = None
        self._finished: asyncio.Future[Exchange] | None = None
        self._arrived = 0.0

    @classmethod
    async def open(cls, target: Target) -> Connection:
        """Raises BenchmarkFailure when nothing listens."""
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(cls, target.host, target.port)
        except OSError as error:
            where = f"{target.host}:{target.port}"
            raise BenchmarkFailure(f"nothing answers at {where}: {error}") from error
        return connection

    @property
    def is_open(self) -> bool:
        """Whether the server has kept the connection so far."""
        return self._transport is not None

    @property
    def under_way(self) -> Exchange | None:
        """The exchange whose answer is not complete: what has come of it so far."""
        return self._exchange

    async def exchange(self, request: bytes) -> Exchange:
        """Send a request and wait for the whole answer, whatever its status.

        Raises BrokenAnswer when the connection ends before.
        """
        assert self._finished is None, "one request at a time"
        self._exchange = exchange = Exchange(sent=monotonic())
        if self._transport is None:
            raise BrokenAnswer("the server closed a kept-alive connection", exchange)
        self._finished = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await self._finished
        finally:
            self._finished = None

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        # Before it is read: what reading costs here is no part of the server's time.
        self._arrived = monotonic()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"the answer is not HTTP: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._fail("the connection ended before the answer did")

    def _fail(self, why: str) -> None:
        if self._finished is not None and not self._finished.done() and self._exchange is not None:
            self._exchange.done = monotonic()
            self._finished.set_exception(BrokenAnswer(why, self._exchange))

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._exchange is not None:
            self._exchange.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self._exchange is not None:
            self._exchange.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        if self._exchange is not None:
            self._exchange.pieces.append((self._arrived, body))

    def on_message_complete(self) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None and self._finished is not None and not self._finished.done():
            exchange.done = self._arrived
            self._finished.set_result(exchange)
