"""The HTTP server: uvicorn, with an end of our own."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

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


class HttpServer(uvicorn.Server):
    """The server of the gateway's one port. At SIGTERM or SIGINT it goes on serving while `drain`
    runs, each answer with `Connection: close`; then it closes. A second signal ends the drain at
    once."""

    def __init__(self, *, app: ASGIApp, host: str, port: int, drain: Drain) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
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
