"""HTTP over ASGI, as far as the simulator needs it: bounded bodies, JSON, event streams."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson

from services.engine_simulator.errors import EngineError

Scope = MutableMapping[str, Any]
ASGIMessage = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[ASGIMessage]]
Send = Callable[[ASGIMessage], Awaitable[None]]

JSON = b"application/json"
EVENT_STREAM = b"text/event-stream; charset=utf-8"
DONE = b"data: [DONE]\n\n"


def event(payload: object) -> bytes:
    return b"data: " + orjson.dumps(payload) + b"\n\n"


class Exchange:
    """An HTTP request and its response. `started` tells whether a status has been sent."""

    def __init__(self, *, scope: Scope, receive: Receive, send: Send, max_body_bytes: int) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self._headers: list[tuple[bytes, bytes]] = scope["headers"]
        self._receive = receive
        self._send = send
        self._max_body_bytes = max_body_bytes
        self.started = False

    def header(self, name: bytes) -> str | None:
        values = (value for key, value in self._headers if key == name)
        return next((value.decode("latin-1") for value in values), None)

    async def body(self) -> bytes:
        """Raises EngineError: 413 past the limit, 400 when the client left half-way."""
        body = b""
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise EngineError("The client left before its request was complete.")
            chunk: bytes = message.get("body", b"")
            body += chunk
            if len(body) > self._max_body_bytes:
                limit = self._max_body_bytes
                raise EngineError(f"The body exceeds {limit} bytes.", status=413)
            if not message.get("more_body", False):
                return body

    async def disconnected(self) -> None:
        """Returns once the client has gone; call it after `body`."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def start(self, status: int, content_type: bytes, length: int | None = None) -> None:
        self.started = True
        headers = [(b"content-type", content_type)]
        if length is not None:
            headers.append((b"content-length", str(length).encode()))
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, data: bytes, *, last: bool = False) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": not last})

    async def reply(self, data: bytes, status: int = 200, content_type: bytes = JSON) -> None:
        await self.start(status, content_type, len(data))
        await self.write(data, last=True)

    async def json(self, payload: object, status: int = 200) -> None:
        await self.reply(orjson.dumps(payload), status)
