"""Where devices connect: a WebSocket, behind a token of the device's own."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.api.error_handlers import internal_error, render
from gateway.api.requests.request_headers import peer_address
from gateway.core.devices.grant import Grant
from gateway.errors import Draining, GatewayError, StateLost, TooManyAttempts, Unauthenticated
from gateway.serving.devices.connections import DeviceConnections
from gateway.serving.devices.tokens import DeviceTokens

log = structlog.get_logger("tierflow.devices")

GONE_S = 1.0


class DeviceRoute:
    """The route at which devices connect: plain ASGI, as it runs once per token."""

    def __init__(self, devices: DeviceConnections, tokens: DeviceTokens) -> None:
        self._devices = devices
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        headers = scope["headers"]
        token = next((value for name, value in headers if name == b"authorization"), b"")
        try:
            self._devices.check_open()
            grant = await self._grant(token.decode("latin-1"), peer_address(scope))
        except (Draining, StateLost, TooManyAttempts, Unauthenticated) as error:
            log.info("device_refused", code=error.code, address=peer_address(scope))
            await _refuse(scope, receive, send, error)
            return
        await send({"type": "websocket.accept"})
        try:
            await self._devices.serve(_WebSocketLink(receive, send), grant)
        except Exception as error:
            internal_error(error)

    async def _grant(self, authorization: str, address: str) -> Grant:
        """Raises StateLost, TooManyAttempts, and Unauthenticated for a token that opens nothing."""
        grant = await self._tokens.find(authorization, address)
        if grant is None:
            raise await self._tokens.refusal(authorization)
        return grant


async def _refuse(scope: Scope, receive: Receive, send: Send, error: GatewayError) -> None:
    status, headers, body = render(error)
    await Response(body, status, headers, "application/json")(scope, receive, send)
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
