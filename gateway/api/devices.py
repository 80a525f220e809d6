"""Where devices connect: a WebSocket, behind a token of the device's own."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Mapping
from contextlib import suppress

from starlette.types import Receive, Scope, Send

from gateway.api.error_handlers import error_body, internal_error
from gateway.serving.devices import Devices

GONE_S = 1.0


class DeviceRoute:
    """Plain ASGI, as it runs once per token. `tokens`: SHA-256 in hex by the device's name."""

    def __init__(self, devices: Devices, tokens: Mapping[str, str]) -> None:
        self._devices = devices
        self._tokens = {name: digest.encode() for name, digest in tokens.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        device = self._device(scope)
        if device is None:
            await _refuse(receive, send)
            return
        await send({"type": "websocket.accept"})
        try:
            await self._devices.serve(_WebSocketLink(receive, send), device)
        except Exception as error:
            internal_error(error)

    def _device(self, scope: Scope) -> str | None:
        """Compares with every token, in constant time: how long it takes tells nothing."""
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        scheme, _, token = given.partition(b" ")
        digest = hashlib.sha256(token.strip()).hexdigest().encode()
        found = None
        for name, expected in self._tokens.items():
            if hmac.compare_digest(digest, expected):
                found = name
        return found if scheme.lower() == b"bearer" else None


async def _refuse(receive: Receive, send: Send) -> None:
    body = error_body(
        "connect with `Authorization: Bearer <device token>`; the gateway's settings list the "
        "devices under devices.tokens",
        "authentication_error",
        code="invalid_device_token",
    )
    headers = [(b"content-type", b"application/json"), (b"www-authenticate", b"Bearer")]
    await send({"type": "websocket.http.response.start", "status": 401, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})
    # uvicorn would log an error about an unfinished handshake if we left before the connection is
    # gone: it reports the end of our answer first, and then that of the connection.
    with suppress(TimeoutError):
        async with asyncio.timeout(GONE_S):
            await receive()
            await receive()


class _WebSocketLink:
    """The `Link` port on an ASGI WebSocket."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send

    async def receive(self) -> bytes | None:
        message = await self._receive()
        if message["type"] != "websocket.receive":
            return None
        data: bytes | None = message.get("bytes")
        return data if data is not None else str(message["text"]).encode()

    async def send(self, message: bytes) -> None:
        await self._send({"type": "websocket.send", "bytes": message})

    async def close(self, code: int, reason: str) -> None:
        await self._send({"type": "websocket.close", "code": code, "reason": reason})
