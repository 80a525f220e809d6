"""What an API lets web pages do: the gateway's and the device agent's are both behind this guard.

A page that a browser has opened can send requests to whatever the browser reaches, also to
loopback; and a name that its owner points at 127.0.0.1 makes it a page of that address, which reads
the answers, too. So a request names the host that it means, and a page its origin, and both must be
known.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
ANY = "*"
METHODS = b"GET, POST, DELETE"
MAX_AGE_S = 600
"""How long a browser need not ask anew whether a page may send such a request."""
MAX_SEEN = 64
MAX_LISTED_BYTES = 1024
"""Of the list of headers that a page wants to send."""


def is_loopback(host: str) -> bool:
    """Whether this machine alone reaches what listens on `host`, a name or an address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def is_host(host: str) -> bool:
    """Whether it is a name or an address, without a port, or `*`."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return bool(host) and not any(mark in host for mark in ":/[] \t")
    return True


def guarded_hosts(listens_on: str, given: Collection[str] | None) -> frozenset[str] | None:
    """The hosts that requests may name; None: any. `given` are those of the settings: on a loopback
    address they come beside its own names."""
    if is_loopback(listens_on):
        return frozenset((*LOOPBACK_NAMES, listens_on, *(given or ())))
    return None if given is None else frozenset(given)


def guarded_origins(listens_on: str, given: Collection[str] | None) -> frozenset[str] | None:
    """The origins of pages that may send requests, beside pages of the API's own address; None:
    any, and none is told that it may."""
    if given is None and not is_loopback(listens_on):
        return None
    return frozenset(given or ())


class Readers:
    """The origins of pages that may read answers; `*` among them: every page."""

    def __init__(self, origins: Collection[str]) -> None:
        self._any = ANY in origins
        self._origins = {each.lower().encode() for each in origins}

    def __contains__(self, origin: bytes) -> bool:
        return self._any or origin.lower() in self._origins

    @staticmethod
    def headers(origin: bytes) -> list[tuple[bytes, bytes]]:
        """Those that let a page of this origin read an answer with all its headers."""
        return [
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", b"*"),
            (b"vary", b"Origin"),
        ]


class BrowserGuard:
    """A guard before an ASGI `app`: it lets in what names one of `hosts`, and pages of `origins`
    or of the host that they ask. None: any; `*` among them: any, and every page may read."""

    def __init__(
        self,
        *,
        app: App,
        hosts: frozenset[str] | None,
        origins: frozenset[str] | None,
        settings: tuple[str, str],
    ) -> None:
        """`settings` name what hosts and what origins are added to, for messages."""
        self._app = app
        self._hosts = None if hosts is None or ANY in hosts else _names(hosts)
        self._readers = None if origins is None else Readers(origins)
        self._seen: set[bytes] = set()
        """Host headers, as they came, that have been found known."""
        self._host_setting, self._origin_setting = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        host = origin = b""
        for name, value in scope["headers"]:
            if name == b"host":
                host = value
            elif name == b"origin":
                origin = value
        if host and host not in self._seen and not self._knows(host):
            what = f"no host of this API is named; add the name to {self._host_setting} if it is"
            await _refuse(scope, receive, send, what, code="foreign_host")
        elif not origin or self._readers is None or _is_of(origin, host):
            await self._app(scope, receive, send)
        elif origin not in self._readers:
            what = f"a web page of another origin asks; add it to {self._origin_setting} if it may"
            await _refuse(scope, receive, send, what, code="foreign_origin")
        elif scope["type"] == "http" and scope["method"] == "OPTIONS" and _is_preflight(scope):
            await _answer_preflight(scope, send, origin)
        else:
            await self._app(scope, receive, _readable(send, origin))

    def _knows(self, host: bytes) -> bool:
        """Whether a Host header names one of the hosts."""
        if self._hosts is not None and _name(host) not in self._hosts:
            return False
        if len(self._seen) < MAX_SEEN:
            self._seen.add(host)
        return True


async def _refuse(scope: Scope, receive: Receive, send: Send, message: str, *, code: str) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": code})
        return
    error = {"message": message, "type": "permission_error", "param": None, "code": code}
    body = json.dumps({"error": error}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        # What the body may be is not read.
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _names(hosts: Collection[str]) -> frozenset[bytes]:
    return frozenset(host.strip("[]").lower().encode() for host in hosts)


def _name(host: bytes) -> bytes:
    """The name or address in a Host header, without its port."""
    if host.startswith(b"["):
        return host[1:].partition(b"]")[0].lower()
    return host.partition(b":")[0].rstrip(b".").lower()


def _is_of(origin: bytes, host: bytes) -> bool:
    """Whether a page of this origin asks the address that it came from."""
    return bool(host) and origin.lower().partition(b"://")[2] == host.lower()


def _is_preflight(scope: Scope) -> bool:
    return any(name == b"access-control-request-method" for name, _ in scope["headers"])


async def _answer_preflight(scope: Scope, send: Send, origin: bytes) -> None:
    headers = [
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-methods", METHODS),
        (b"access-control-max-age", str(MAX_AGE_S).encode()),
        (b"vary", b"Origin"),
    ]
    for name, value in scope["headers"]:
        if name == b"access-control-request-headers" and len(value) <= MAX_LISTED_BYTES:
            headers.append((b"access-control-allow-headers", value))
        elif name == b"access-control-request-private-network":
            headers.append((b"access-control-allow-private-network", b"true"))
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _readable(send: Send, origin: bytes) -> Send:
    """Let the page read the answer with all its headers."""
    added = Readers.headers(origin)

    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *added]}
        await send(message)

    return sending
