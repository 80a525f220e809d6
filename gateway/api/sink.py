"""The caller's end of an answer, as plain ASGI: it runs once per token batch."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.types import Send

from gateway.api.client_disconnect import await_disconnect
from gateway.api.error_handlers import render
from gateway.core.access.rate_headers import RateHeaders
from gateway.core.outcome import Outcome
from gateway.core.streams.protocols import stream_protocol
from gateway.errors import GatewayError
from gateway.protocol import headers as names
from gateway.protocol.errors.anthropic_errors import anthropic_error
from gateway.protocol.paths import OTHER, ROUTES

_RELAYED = tuple((name, name.encode()) for name in ("content-type", "cache-control", "retry-after"))
"""What of an engine's headers its caller gets. All others speak for the engine's own server, or to
browsers and proxies in the gateway's name: cookies, permissions of origins, encodings."""
_REQUEST_ID, _TIER, _ENDPOINT, _REASON, _PREDICTION = (
    name.encode()
    for name in (names.REQUEST_ID, names.TIER, names.ENDPOINT, names.REASON, names.PREDICTION)
)


class AsgiSink:
    """The caller's end of an answer to a request of the route `path`."""

    def __init__(self, send: Send, request_id: str, path: str) -> None:
        self._send = send
        self.request_id = request_id
        self.path = path
        self._protocol = stream_protocol(path)
        self._anthropic = ROUTES.get(path, OTHER).anthropic
        self.rate_headers: RateHeaders = ()
        self._started = self._streams = self._ended = False
        self._first = self._last = b""
        self.complete = False
        """The connection has all of it."""

    async def start(
        self, status: int, headers: Mapping[str, str], outcome: Outcome, length: int | None
    ) -> None:
        raw = [
            (name, value.encode("utf-8", "surrogateescape"))
            for key, name in _RELAYED
            if (value := headers.get(key))
        ]
        raw += [
            (_REQUEST_ID, self.request_id.encode()),
            (_TIER, outcome.tier.encode()),
            (_ENDPOINT, outcome.endpoint.encode()),
            (_REASON, outcome.reason.encode()),
            *self.rate_headers,
        ]
        if outcome.prediction:
            raw.append((_PREDICTION, outcome.prediction.encode()))
        if length is not None:
            raw.append((b"content-length", str(length).encode()))
        self._started, self._streams = True, length is None
        try:
            await self._send({"type": "http.response.start", "status": status, "headers": raw})
        except RuntimeError as error:
            await await_disconnect(error)

    async def send(self, data: bytes, more: bool) -> None:
        self._ended = not more
        if self._protocol.numbered and not data.startswith(b":"):
            self._first, self._last = self._first or data, data
        try:
            await self._send({"type": "http.response.body", "body": data, "more_body": more})
        except RuntimeError as error:
            await await_disconnect(error)
        if not more:
            self.complete = True
            # The loop writes at the end of its turn: what is counted and settled after an answer
            # does not hold it up.
            await asyncio.sleep(0)

    async def fail(self, error: GatewayError) -> None:
        """End a stream that has begun."""
        _, _, body = render(error)
        await self._fail(body)

    async def end(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """End the answer with an error, whose status and headers are for one that has not begun. A
        stream that has begun ends with an event; in a body there is no room for an error."""
        if self._streams and not self._ended:
            await self._fail(body)
        if self._started:
            return
        if self._anthropic:
            body = anthropic_error(body, status)
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        raw += [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (_REQUEST_ID, self.request_id.encode()),
            *self.rate_headers,
        ]
        self._started = True
        await self._send({"type": "http.response.start", "status": status, "headers": raw})
        await self.send(body, more=False)

    async def _fail(self, body: bytes) -> None:
        await self.send(self._protocol.failure(body, self._first, self._last), more=False)
