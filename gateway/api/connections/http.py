"""A caller's HTTP connection: uvicorn's, with bounds on what comes in and on how slowly."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import Any, NamedTuple

from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from gateway.api.connections.answer import HttpAnswer
from gateway.api.connections.bounds import Connections
from gateway.api.connections.old_http import CloseDelimitedAnswer
from gateway.api.connections.websocket import WebSocketConnection
from gateway.api.error_codes import HTTP_ERRORS
from gateway.api.error_handlers import error_body
from gateway.protocol.headers import header_given_twice

LINGER_S = 1.0
"""How long a peer that is turned away may go on sending: closed at once, it would see a reset
instead of its answer."""
BODY_GRACE_S = 5.0
"""The routes tell a caller that its body is late; what does not end then is cut off."""
MAX_PIPELINED = 32
"""Requests that were sent ahead and wait for the answer to the one before them."""


class Awaited(Enum):
    """What a connection is to send next."""

    HEAD = "head"
    BODY = "body"
    NOTHING = "nothing"


class HeadRefusal(NamedTuple):
    """What a peer is told that is not let in. `param`: the header that is wrong."""

    status: int
    code: str
    message: str
    param: str | None = None


class _Refused(Exception):
    """A head that is refused; ends the parser's work."""


class HttpConnection(HttpToolsProtocol):
    """A connection from its beginning to its end, or to its turn into a WebSocket. What can't be
    let in, or is no good HTTP/1.1, gets one answer, and the connection ends."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        room: Connections,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._room = room
        self._limits = room.limits
        self._refusal = HeadRefusal(400, "invalid_http", "this is not valid HTTP/1.1")
        self._entered = self._refused = False
        self._address = ""
        self._awaited = Awaited.HEAD
        self._running: RequestResponseCycle | None = None
        self._since = self._taken = self.loop.time()
        self._answered: float | None = None
        self._unread = self._received = self._left_to_send = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._address = self.client[0] if self.client else ""
        self._entered = self._room.enter(self._address)
        if not self._entered:
            message = "the gateway has no room for another one"
            self._refusal = HeadRefusal(503, "too_many_connections", message)
            self.send_400_response("")

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_cycle()
        super().connection_lost(exc)
        if self._entered:
            self._entered = False
            self._room.leave(self._address)

    def handle_websocket_upgrade(self) -> None:
        """The place that was taken goes along."""
        if self._refused:
            return
        super().handle_websocket_upgrade()
        protocol = self.transport.get_protocol()
        if self._entered and isinstance(protocol, WebSocketConnection):
            self._entered = False
            protocol.entered = self._address

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        # What is neither a whole head nor a body: a head without end, extensions of chunks.
        self._unread += len(data)
        super().data_received(data)
        if self._unread > self._limits.max_header_bytes and self._awaited is not Awaited.NOTHING:
            self._refuse_head()
            self.send_400_response("")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._awaited, self._since = Awaited.HEAD, self.loop.time()

    def on_headers_complete(self) -> None:
        self._check_head()
        self._unread = self._received = 0
        self._answered = None
        self._awaited, self._since = Awaited.BODY, self.loop.time()
        super().on_headers_complete()
        if self.cycle is not None:
            old = self.scope["http_version"] == "1.0"
            self.cycle.__class__ = CloseDelimitedAnswer if old else HttpAnswer
        if len(self.pipeline) > MAX_PIPELINED:
            # An answer to it would be taken for that of a request before it.
            self._end("requests_ahead")
            self.transport.close()
            raise _Refused
        if not self.parser.should_upgrade():
            # What follows a body in chunks is no header of the request.
            self.headers = []

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        self._received += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._awaited, self._since = Awaited.NOTHING, self.loop.time()
        self._unread = 0

    def _check_head(self) -> None:
        size, hosts = len(self.url), 0
        for name, value in self.headers:
            size += len(name) + len(value)
            if name == b"host":
                hosts += 1
            elif name == b"transfer-encoding" and (
                value.lower() != b"chunked" or self.parser.get_http_version() == "1.0"
            ):
                self._refuse("transfer-encoding: expected chunked, and HTTP/1.1")
        limits = self._limits
        if size > limits.max_header_bytes or len(self.headers) > limits.max_headers:
            self._refuse_head()
            raise _Refused
        if len(self.url) > limits.max_target_bytes:
            self._refusal = HeadRefusal(
                414,
                "target_too_long",
                f"the target has {len(self.url)} bytes; the limit is {limits.max_target_bytes} "
                "(connections.max_target_bytes)",
            )
            raise _Refused
        if hosts > 1 or (not hosts and self.parser.get_http_version() == "1.1"):
            self._refuse("host: expected once")
        if twice := header_given_twice(self.headers):
            self._refusal = HeadRefusal(400, "invalid_header", f"{twice}: expected once", twice)
            raise _Refused

    def _refuse(self, message: str) -> None:
        self._refusal = HeadRefusal(400, "invalid_http", message)
        raise _Refused

    def _refuse_head(self) -> None:
        limits = self._limits
        self._refusal = HeadRefusal(
            431,
            "headers_too_large",
            f"the headers may have {limits.max_header_bytes} bytes (connections.max_header_bytes), "
            f"and be {limits.max_headers} (connections.max_headers)",
        )

    def send_400_response(self, msg: str) -> None:
        """The answer to what is refused, and the end; without one where another is under way."""
        if self._refused:
            return
        status, code, message, param = self._refusal
        self._room.refused(code)
        self._refused = True
        self._unset_keepalive_if_required()
        if self.cycle is not None and not self.cycle.response_complete:
            half_answered = self.cycle.response_started or self.pipeline
            self._end_cycle()
            if half_answered:
                self.transport.close()
                return
        body = error_body(message, HTTP_ERRORS[code].type, code=code, param=param)
        head = [STATUS_LINE[status], b"content-type: application/json\r\n"]
        if status == 503:
            head.append(b"retry-after: 1\r\n")
        origin = next((value for name, value in self.headers or () if name == b"origin"), b"")
        if origin and origin in self._room.readers:
            head += [b"%b: %b\r\n" % header for header in self._room.readers.headers(origin)]
        head.append(b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body))
        self.transport.write(b"".join([*head, body]))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.abort)

    def look(self, now: float) -> None:
        """Cut off a peer that is too slow; called now and then. `now` is on the loop's clock."""
        limits, waited = self._limits, now - self._since
        if self._refused:
            pass
        elif self._awaited is Awaited.HEAD and waited > limits.headers_s:
            self._cut_off("headers_timeout")
        elif self._awaited is Awaited.BODY:
            if self.flow.read_paused:
                self._since = now
            elif self.cycle is not None and self.cycle.response_complete:
                # The answer did not wait for the body.
                self._answered = self._answered or now
                if now - self._answered > LINGER_S:
                    self._cut_off("body_timeout")
            elif waited > limits.body_s + self._received / limits.body_rate + BODY_GRACE_S:
                self._cut_off("body_timeout")
        elif self._idle_without_end():
            self.timeout_keep_alive_task = self.loop.call_later(
                limits.keep_alive_s, self.timeout_keep_alive_handler
            )
        self._look_at_answer(now)

    def _idle_without_end(self) -> bool:
        """A request's body that ends after its answer takes uvicorn's timer away."""
        return (
            self.timeout_keep_alive_task is None
            and self.cycle is not None
            and self.cycle.response_complete
        )

    def _look_at_answer(self, now: float) -> None:
        left = self.transport.get_write_buffer_size()
        if left != self._left_to_send or not left:
            self._left_to_send, self._taken = left, now
        elif now - self._taken > self._limits.stalled_s:
            self._cut_off("client_stalled")

    def _cut_off(self, reason: str) -> None:
        self._end(reason)
        self.transport.abort()

    def _end(self, reason: str) -> None:
        self._room.refused(reason)
        self._refused = True
        self._end_cycle()

    def _end_cycle(self) -> None:
        """Nobody waits for what the requests' work would say, and it may write no more: uvicorn
        learns that the connection is gone only in the loop's next round, and of requests that were
        sent ahead of their turn it tells the last one alone."""
        for cycle in (self._running, self.cycle):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
