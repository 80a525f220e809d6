"""The HTTP server: uvicorn, with an end of our own."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from gateway.errors import ConfigError
from gateway.protocol.speculation import MAX_FRAME_BYTES
from gateway.serving.requests.drain import Drain

KEEP_ALIVE_S = 75
LAST_BYTES_S = 5
"""How long, after the drain, what has been answered may take to be sent."""
HEADERS_S = 0.5
LATE = "late"
"""In the `state` of the scopes of connections that came when the gateway took no more requests."""

BROKEN_OFF = "ASGI callable returned without completing response."
"""What uvicorn writes at level error of an answer that breaks off."""


def listening_sockets(setting: str, host: str, port: int) -> list[socket.socket]:
    """Sockets bound to each address of `host`, on which nobody listens yet. `setting` is the group
    that names the address. Raises ConfigError."""
    sockets: list[socket.socket] = []
    try:
        for family, _, _, _, address in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            sockets.append(_bound(family, address))
    except OSError as error:
        for each in sockets:
            each.close()
        raise ConfigError(
            f"{setting}.host, {setting}.port: {host}:{port} can't be listened on: {error.strerror}"
        ) from error
    return sockets


def _bound(family: int, address: Any) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


@asynccontextmanager
async def operations_server(app: ASGIApp, sockets: list[socket.socket]) -> AsyncGenerator[None]:
    """The operators' server runs until the block ends: to the end of the gateway's drain."""
    server = _OperationsServer(
        uvicorn.Config(
            app,
            http="httptools",
            ws="none",
            lifespan="off",
            access_log=False,
            proxy_headers=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
    )
    serving = asyncio.create_task(server.serve(sockets))
    try:
        yield
    finally:
        server.should_exit = True
        await serving


class _OperationsServer(uvicorn.Server):
    """A server that leaves the process' signals to the gateway's own."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


class HttpServer(uvicorn.Server):
    """The server of the gateway's API. At SIGTERM or SIGINT it goes on serving while `drain`
    runs, each answer with `Connection: close`; then it closes. A second signal ends the drain at
    once."""

    def __init__(self, *, app: ASGIApp, drain: Drain) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http="httptools",
                ws="websockets-sansio",
                ws_max_size=MAX_FRAME_BYTES,
                # Token ids don't shrink, and the devices' own pings keep their leases.
                ws_per_message_deflate=False,
                ws_ping_interval=None,
                lifespan="off",
                access_log=False,
                proxy_headers=False,
                log_config=None,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=LAST_BYTES_S,
            )
        )
        self._drain = drain
        logging.getLogger("uvicorn.error").addFilter(says_an_error)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # uvicorn hurries at a second SIGINT only.
        super().handle_exit(signal.SIGINT if self.should_exit else sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        headers = asyncio.create_task(self._close_connections())
        try:
            await self._drain.run(lambda: self.force_exit, self._mark_late_connections)
        finally:
            headers.cancel()
        await super().shutdown(sockets)

    def _mark_late_connections(self) -> None:
        """uvicorn gives this to each new connection, and copies it into the scope of its requests;
        connections that are open keep what they have."""
        self.lifespan.state = {LATE: True}

    async def _close_connections(self) -> None:
        """Have every answer close its connection, so that callers come back at another replica.
        uvicorn puts these headers before an answer's own; the date among them must stay right."""
        self.config.encoded_headers.append((b"connection", b"close"))
        while True:
            await self.on_tick(0)
            await asyncio.sleep(HEADERS_S)


def says_an_error(record: logging.LogRecord) -> bool:
    """The gateway breaks an answer off on purpose, where its caller has stopped reading or is to
    come back for the rest. The request's own line tells how it ended."""
    return record.msg != BROKEN_OFF
