"""The page of routes: who may call what, as a gateway answers that was asked."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import httpx
import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deploy.reference.markdown import GENERATED, code, paragraphs, table
from gateway.api.listeners import FOR_OPERATORS, for_callers
from gateway.protocol.device_link.speculation import PATH as DEVICES
from gateway.settings import Settings, shipped_profiles
from gateway.wiring.app import gateway

DEVICE_TOKEN, ADMIN_TOKEN = "device-token-0001", "admin-token-00001"
KEY = "tf-of-a-caller-0123456789abcdef"
CALLERS: Mapping[str, str | None] = {
    "no key": None,
    "a caller's key": KEY,
    "a device's token": DEVICE_TOKEN,
    "the admin token": ADMIN_TOKEN,
}
"""What each shows as its bearer token."""
NOWHERE = "http://127.0.0.1:9"
YES, STATUS_ONLY, ABSENT = "yes", "ready or not", "-"

INTRODUCTION = """\
Each table is what a gateway answered when it was asked: `yes` means that the route heard the
request, a number is the status with which it was turned away, `-` means that there is no such route
at that address. What a route then does may need more: a stream is given to whoever began it, an
enrolment needs its one-time token. A key is shown to all of them: without keys, which only loopback
or `keys.required: false` allows, callers' routes ask for none ([keys.md](keys.md)).
[security.md](security.md) has the reasons."""

HEADINGS: Mapping[str, str] = {
    "public": "The callers' address (`listen`), where operators have one of their own "
    "(`operations.port`)",
    "operations": "The operators' address (`operations.host`, `operations.port`)",
    "alone": "One address for all, which other machines reach (`operations.port` is not set)",
    "loopback": "One address for all, on loopback, as `make up` has it, but with keys",
}
LISTENERS: Mapping[str, Mapping[str, Any]] = {
    "public": {"listen": {"host": "0.0.0.0"}, "operations": {"port": 0}},
    "operations": {"listen": {"host": "0.0.0.0"}, "operations": {"port": 0}},
    "alone": {"listen": {"host": "0.0.0.0"}},
    "loopback": {"listen": {"host": "127.0.0.1"}},
}


def page() -> str:
    parts = ["# Who may call what", GENERATED, INTRODUCTION]
    level = structlog.get_config()
    try:
        structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
        tables = asyncio.run(_tables())
    finally:
        structlog.configure(**level)
    for name, rows in tables.items():
        parts += [f"## {HEADINGS[name]}", table(("route", *CALLERS), rows)]
    return paragraphs(*parts)


def settings(listeners: Mapping[str, Any]) -> Settings:
    built = Settings(
        pools={"edge": {"tier": "edge", "endpoints": [NOWHERE]}},  # type: ignore[dict-item]
        keys={"static": {"caller": {"key": KEY}}},  # type: ignore[arg-type]
        admin={"token": ADMIN_TOKEN},  # type: ignore[arg-type]
        devices={"tokens": {"device": hashlib.sha256(DEVICE_TOKEN.encode()).hexdigest()}},  # type: ignore[arg-type]
        **listeners,
    )
    return built.model_copy(update={"profiles": shipped_profiles()})


async def _tables() -> dict[str, list[tuple[str, ...]]]:
    tables = {}
    for name, listeners in LISTENERS.items():
        async with gateway(settings(listeners)) as running:
            app = running.operations if name == "operations" else running.app
            tables[name] = [
                (
                    code(f"{method} {path}"),
                    *[await _ask(app, method, path, token) for token in CALLERS.values()],
                )
                for method, path in await routes(running.operations)
            ]
    return tables


async def routes(operations: ASGIApp) -> list[tuple[str, str]]:
    """Every method and path that there is, those for callers first: those of the API's description
    and those that describe it."""
    async with _client(operations) as client:
        described = (await client.get("/openapi.json")).json()["paths"]
    found = {("WebSocket", DEVICES)} | {("GET", path) for path in FOR_OPERATORS}
    found |= {(method.upper(), path) for path in described for method in described[path]}
    return sorted(found, key=lambda each: (not for_callers(each[1]), each[1], each[0]))


class _Enough(BaseException):
    """A stream has begun, which may never end by itself."""


def _beginnings(app: ASGIApp) -> ASGIApp:
    """`app`, of whose streams only the first piece is waited for."""

    async def beginning(scope: Scope, receive: Receive, send: Send) -> None:
        async def first(message: Message) -> None:
            goes_on = bool(message.get("more_body"))
            await send({**message, "more_body": False} if goes_on else message)
            if goes_on:
                raise _Enough

        with suppress(_Enough):
            await app(scope, receive, first)

    return beginning


def _client(app: ASGIApp) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1")


async def _ask(app: ASGIApp, method: str, path: str, token: str | None) -> str:
    """What comes of asking: heard, turned away or not there."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    concrete = re.sub("{[^}]*}", "x", path)
    if method == "WebSocket":
        return await _connect(app, concrete, headers)
    async with _client(_beginnings(app)) as client:
        content = b"{}" if method == "POST" else b""
        answer = await client.request(method, concrete, headers=headers, content=content)
    body = answer.json() if "json" in answer.headers.get("content-type", "") else {}
    if path == "/ready":
        return YES if "pools" in body else STATUS_ONLY
    if answer.status_code in (401, 403):
        return str(answer.status_code)
    refused = isinstance(body, dict) and body.get("error", {}).get("code") == "not_found"
    return ABSENT if refused else YES


async def _connect(app: ASGIApp, path: str, headers: Mapping[str, str]) -> str:
    sent: list[Message] = []
    coming = iter([{"type": "websocket.connect"}])

    async def receive() -> Message:
        return next(coming, {"type": "websocket.disconnect", "code": 1000})

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "websocket",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}},
    }
    await app(scope, receive, send)
    first = sent[0]
    return YES if first["type"] == "websocket.accept" else str(first.get("status", ABSENT))
