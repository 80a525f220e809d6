"""The HTTP server: uvicorn, with an end of our own."""

from __future__ import annotations

import asyncio
import logging
import math
import signal
import socket
import ssl
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from types import FrameType
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp

from gateway.api.connections.bounds import Connections
from gateway.api.connections.http import HttpConnection
from gateway.api.connections.websocket import WebSocketConnection
from gateway.errors import ConfigError
from gateway.protocol.device_link.speculation import MAX_FRAME_BYTES
from gateway.serving.requests.drain import Drain

LOOK_TICKS = 5
"""uvicorn ticks ten times a second."""
LAST_BYTES_S = 5
"""How long, after the drain, what has been answered may take to be sent."""
HEADERS_S = 0.5
HANDSHAKE_S = 5.0
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
async def operations_server(
    app: ASGIApp,
    sockets: list[socket.socket],
    room: Connections,
    tls: ssl.SSLContext | None = None,
) -> AsyncGenerator[None]:
    """The operators' server runs until the block ends: to the end of the gateway's drain."""
    server = _OperationsServer(
        uvicorn.Config(
            app,
            http=_http_connection(room),
            ws="none",
            timeout_keep_alive=math.ceil(room.limits.keep_alive_s),
            lifespan="off",
            access_log=False,
            proxy_headers=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=1,
        ),
        tls,
    )
    serving = asyncio.create_task(server.serve(sockets))
    try:
        yield
    finally:
        server.should_exit = True
        await serving


def _http_connection(room: Connections) -> type[asyncio.Protocol]:
    return cast("type[asyncio.Protocol]", partial(HttpConnection, room=room))


def _websocket_connection(room: Connections) -> type[asyncio.Protocol]:
    return cast("type[asyncio.Protocol]", partial(WebSocketConnection, room=room))


class _WatchedServer(uvicorn.Server):
    """A server that cuts off peers that are too slow. `tls`: for every connection."""

    def __init__(self, config: uvicorn.Config, tls: ssl.SSLContext | None) -> None:
        super().__init__(config)
        self._tls = tls

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's own, but for how long a TLS handshake may take."""
        await self.lifespan.startup()
        loop = asyncio.get_running_loop()

        def connection() -> asyncio.Protocol:
            return self.config.http_protocol_class(  # type: ignore[call-arg]
                config=self.config,
                server_state=self.server_state,
                app_state=self.lifespan.state,
            )

        self.servers = [
            await loop.create_server(
                connection,
                sock=each,
                ssl=self._tls,
                ssl_handshake_timeout=None if self._tls is None else HANDSHAKE_S,
                backlog=self.config.backlog,
            )
            for each in sockets or ()
        ]
        self.started = True

    async def on_tick(self, counter: int) -> bool:
        if counter % LOOK_TICKS == 0:
            now = asyncio.get_running_loop().time()
            for connection in tuple(self.server_state.connections):
                if isinstance(connection, HttpConnection):
                    connection.look(now)
        return await super().on_tick(counter)


class _OperationsServer(_WatchedServer):
    """A server that leaves the process' signals to the gateway's own."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


class HttpServer(_WatchedServer):
    """The server of the gateway's API. At SIGTERM or SIGINT it goes on serving while `drain`
    runs, each answer with `Connection: close`; then it closes. A second signal ends the drain at
    once."""

    def __init__(
        self,
        *,
        app: ASGIApp,
        drain: Drain,
        room: Connections,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=_http_connection(room),
                ws=_websocket_connection(room),
                ws_max_size=MAX_FRAME_BYTES,
                # Token ids don't shrink, and the devices' own pings keep their leases.
                ws_per_message_deflate=False,
                ws_ping_interval=None,
                lifespan="off",
                access_log=False,
                proxy_headers=False,
                log_config=None,
                server_header=False,
                timeout_keep_alive=math.ceil(room.limits.keep_alive_s),
                timeout_graceful_shutdown=LAST_BYTES_S,
            ),
            tls,
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
