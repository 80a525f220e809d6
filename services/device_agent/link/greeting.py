"""How a connection to a gateway begins: with a token and a greeting, or why it is refused."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from gateway.protocol.device_link import speculation as wire
from services.device_agent.link.connection import decode
from services.device_agent.link.gateway_tls import GatewayTls

MAX_REASON = 300
"""Characters of the gateway's words that are repeated to the user."""


class TokenMissing(Exception):
    """The agent has no device token and can't get one; one line that says why."""


class ConnectionRefused(Exception):
    """The gateway does not take the device; one line that says why."""


async def greeted(
    gateway: str, *, token: str, agent: str, seconds: float, tls: GatewayTls
) -> tuple[ClientConnection, wire.Welcome]:
    """A connection to the gateway at this URL that has welcomed the device, within twice `seconds`.

    `agent` is the program's name and version. Raises ConnectionRefused, and whatever else the
    network may cause.
    """
    url = websocket_url(gateway)
    try:
        websocket = await connect(
            url,
            ssl=tls.context() if url.startswith("wss:") else None,
            additional_headers={"Authorization": f"Bearer {token}"},
            open_timeout=seconds,
            close_timeout=1.0,
            ping_interval=None,
            compression=None,
            max_size=wire.MAX_FRAME_BYTES,
            proxy=None,
        )
    except InvalidStatus as exc:
        response = exc.response
        raise ConnectionRefused(refusal(response.status_code, bytes(response.body))) from exc
    try:
        async with asyncio.timeout(seconds):
            await websocket.send(wire.encode(wire.Hello(wire.VERSION, agent)))
            frame = decode(await websocket.recv())
        if not isinstance(frame, wire.Welcome):
            raise wire.FrameError("the gateway's first frame must be welcome")
    except BaseException:
        websocket.transport.abort()
        raise
    return websocket, frame


def websocket_url(gateway: str) -> str:
    """Raises ValueError for anything but an http:// or https:// URL."""
    scheme, separator, rest = gateway.partition("://")
    if "@" in rest:
        # Not the URL: it would show what is secret in it, as logs and /ready would.
        raise ValueError("a gateway's URL has no user and no password; the token is enough")
    if not separator or scheme not in ("http", "https") or not rest:
        raise ValueError(f"{gateway!r} is not an http:// or https:// URL")
    return f"{'wss' if scheme == 'https' else 'ws'}://{rest.rstrip('/')}{wire.PATH}"


def refusal(status: int, body: bytes) -> str:
    """Why the gateway has refused the connection, in its own words where its answer has any."""
    reason = reason_in(body)
    if not reason and status < 500:
        reason = "is this a gateway's address? If it is, ask its operator for a new token"
    if status in (401, 403):
        return f"the gateway refuses the device token: {reason}"
    return f"the gateway answered {status} to the connection" + (f": {reason}" if reason else "")


def unreachable(gateway: str, error: Exception) -> str:
    """Why a connection to the gateway at this URL failed, and what to look at."""
    if isinstance(error, ConnectionRefusedError):
        return f"nothing listens at {gateway}; is the gateway up, and is this its address?"
    if isinstance(error, socket.gaierror):
        return f"no host is called {urlsplit(gateway).hostname}; check the address, and the network"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate of {gateway} is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"{gateway} does not speak TLS; is its address one with http://?"
    if isinstance(error, TimeoutError):
        return f"{gateway} does not answer; check the address, and the network"
    return type(error).__name__


def reason_in(body: bytes) -> str:
    """The message of a gateway's error on one line, cut to MAX_REASON; empty without one."""
    try:
        message = json.loads(body)["error"]["message"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return " ".join(message.split())[:MAX_REASON] if isinstance(message, str) else ""
