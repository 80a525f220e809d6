"""The `ModelServer` port on aiohttp: one keep-alive pool for all engines."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_exceptions import LineTooLong
from aiohttp.payload import Payload
from yarl import URL

from gateway.core.types import Endpoint
from gateway.core.upstream_errors import (
    check_failed,
    compressed,
    connect_failed,
    connect_timeout,
    connection_broke,
    header_too_long,
    not_http,
    stale_connection,
)
from gateway.errors import UpstreamError
from gateway.protocol.paths import ROUTES

READ_BUFFER_BYTES = 64 * 1024
"""An answer is read in such pieces; where its caller is slow, twice as much may wait here."""
PIECE_BYTES = 256 * 1024
"""A larger body is written in such pieces."""
MAX_HEADER_BYTES = 8190
"""Of one line of an answer's header."""
KEEP_ALIVE_S = 4.0
"""Below the 5 s after which vLLM's server closes an idle connection."""
DRAIN_S = 1.0
"""How long the end of a connection may come after the end of its answer."""
STALE_S = 1.0
"""A kept connection that the engine had closed shows it within a round trip. What breaks later
broke under the request's own work."""
LATE_S = 0.25
"""A wait that ends this much later than its limit was held up by this process itself, whose event
loop stood still: that says nothing about the engine."""

_SKIPPED = ("Accept-Encoding", "User-Agent", "Accept")


class EngineAnswer:
    """An answer on its way. Closing it before its end closes the connection: the engine then
    sees the caller as gone and gives the work up."""

    __slots__ = ("_draining", "_endpoint", "_response", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse, endpoint: Endpoint) -> None:
        self._response = response
        self._endpoint = endpoint
        self._draining = False
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    async def read(self) -> bytes:
        try:
            return await self._response.content.read(READ_BUFFER_BYTES)
        except (aiohttp.ClientError, OSError) as error:
            raise connection_broke(self._endpoint.id, "while it answered") from error

    def drain(self) -> None:
        self._draining = True
        if not self._response.closed:
            # aiohttp puts the connection back at the answer's end, whether anybody reads or not.
            asyncio.get_running_loop().call_later(DRAIN_S, self._response.close)

    def close(self) -> None:
        if not self._draining:
            self._response.close()


_connected: ContextVar[bool] = ContextVar("connected", default=False)
"""Whether the request that runs in this task has made a connection of its own."""


class _Connections(aiohttp.TCPConnector):
    """aiohttp's pool of connections, which notes when it makes a new one."""

    async def _create_connection(self, *args: Any, **options: Any) -> Any:
        _connected.set(True)
        return await super()._create_connection(*args, **options)


class AiohttpModelServer:
    """The client of the engines, with one pool of connections for all. `connect_timeout_s`
    bounds a new connection; later waits are the caller's.

    Nothing is sent twice: a request whose kept connection had ended is a `StaleConnection`, and for
    as long as other kept connections to that engine may have ended with it, requests there make
    new ones. `monotonic` gives seconds.
    """

    def __init__(
        self,
        *,
        connect_timeout_s: float,
        api_keys: Mapping[str, str | None],
        default_key: str | None = None,
        tls: Mapping[str, ssl.SSLContext] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`api_keys` maps a pool's name to the bearer token that its engines ask for, None for
        none; `default_key` is for pools that are not in it. `tls` is that of pools whose engines
        have certificates of authorities that the system does not know, or ask for the gateway's."""
        self._connect_timeout_s = connect_timeout_s
        self._monotonic = monotonic
        self._session = self._open_session(
            _Connections(limit=0, keepalive_timeout=KEEP_ALIVE_S), connect_timeout_s
        )
        self._unkept = self._open_session(
            _Connections(limit=0, force_close=True), connect_timeout_s
        )
        self._tls = tls or {}
        self._stale_until: dict[str, float] = {}
        self._urls: dict[tuple[str, str], URL] = {}
        self._authorization = {pool: _bearer(key) for pool, key in api_keys.items()}
        self._default = _bearer(default_key)

    @staticmethod
    def _open_session(
        connections: aiohttp.TCPConnector, connect_timeout_s: float
    ) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=connections,
            timeout=_limit(sock_connect=connect_timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_SKIPPED,
            auto_decompress=False,
            read_bufsize=READ_BUFFER_BYTES,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            trust_env=False,
        )

    async def open(
        self, endpoint: Endpoint, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> EngineAnswer:
        """Raises StaleConnection, ConnectFailed, ConnectTimeout, EngineFailed."""
        url = self._urls.get((endpoint.url, path))
        if url is None:
            url = URL(endpoint.url + path)
            if path in ROUTES:
                self._urls[endpoint.url, path] = url
        if key := self._authorization.get(endpoint.pool, self._default):
            headers = {**headers, "Authorization": key}
        _connected.set(False)
        began = self._monotonic()
        try:
            response = await self._send(endpoint, url, headers, body)
        except aiohttp.ConnectionTimeoutError as error:
            raise connect_timeout(endpoint.id, self._connect_timeout_s) from error
        except aiohttp.ClientConnectorError as error:
            raise connect_failed(endpoint.id) from error
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            now = self._monotonic()
            if _connected.get() or now - began > STALE_S:
                raise connection_broke(endpoint.id, "before it answered") from error
            self._stale_until[endpoint.url] = now + KEEP_ALIVE_S
            raise stale_connection(endpoint.id) from error
        except aiohttp.ClientResponseError as error:
            if _is_by_a_long_line(error):
                raise header_too_long(endpoint.id, MAX_HEADER_BYTES) from error
            raise not_http(endpoint.id) from error
        except (aiohttp.ClientError, OSError) as error:
            raise connection_broke(endpoint.id, "before it answered") from error
        if response.headers.get("content-encoding", "identity") != "identity":
            response.close()
            raise compressed(endpoint.id)
        return EngineAnswer(response, endpoint)

    async def _send(
        self, endpoint: Endpoint, url: URL, headers: Mapping[str, str], body: bytes | None
    ) -> aiohttp.ClientResponse:
        """Connects once more where the wait for a connection was late by this process's fault."""
        session = self._session_for(endpoint)
        ask = session.get if body is None else session.post
        tls = self._tls.get(endpoint.pool, True)
        began = self._monotonic()
        try:
            return await ask(
                url, data=_payload(body), headers=headers, allow_redirects=False, ssl=tls
            )
        except aiohttp.ConnectionTimeoutError:
            if self._monotonic() - began < self._connect_timeout_s + LATE_S:
                raise
            return await ask(
                url, data=_payload(body), headers=headers, allow_redirects=False, ssl=tls
            )

    def _session_for(self, endpoint: Endpoint) -> aiohttp.ClientSession:
        until = self._stale_until.get(endpoint.url) if self._stale_until else None
        if until is None:
            return self._session
        if self._monotonic() < until:
            return self._unkept
        del self._stale_until[endpoint.url]
        return self._session

    async def get(self, endpoint: Endpoint, path: str, timeout_s: float) -> tuple[int, bytes]:
        """A small answer in one piece, for the scraper. Raises EngineFailed."""
        return await self._small("GET", endpoint, path, timeout_s, None)

    async def post(
        self, endpoint: Endpoint, path: str, timeout_s: float, body: object
    ) -> tuple[int, bytes]:
        """The same with a JSON body."""
        return await self._small("POST", endpoint, path, timeout_s, body)

    async def _small(
        self, method: str, endpoint: Endpoint, path: str, timeout_s: float, body: object
    ) -> tuple[int, bytes]:
        """Asks once more where the wait was late by this process's fault."""
        began = self._monotonic()
        try:
            return await self._ask(method, endpoint, path, timeout_s, body)
        except UpstreamError as error:
            if error.code != "timeout" or self._monotonic() - began < timeout_s + LATE_S:
                raise
        return await self._ask(method, endpoint, path, timeout_s, body)

    async def _ask(
        self, method: str, endpoint: Endpoint, path: str, timeout_s: float, body: object
    ) -> tuple[int, bytes]:
        key = self._authorization.get(endpoint.pool, self._default)
        try:
            async with self._session.request(
                method,
                URL(endpoint.url + path),
                json=body,
                headers={"Authorization": key} if key else None,
                timeout=_limit(total=timeout_s),
                ssl=self._tls.get(endpoint.pool, True),
                allow_redirects=False,
            ) as response:
                return response.status, await response.read()
        except TimeoutError as error:
            problem = f"{path} gave no answer in {timeout_s:g} s"
            raise check_failed(endpoint.id, problem, "timeout") from error
        except (aiohttp.ClientError, OSError) as error:
            problem = f"{path}: {type(error).__name__}"
            raise check_failed(endpoint.id, problem, "connect_failed") from error

    def forget(self, endpoint: Endpoint) -> None:
        """It has left: nothing more is kept for its URL."""
        for url, path in [key for key in self._urls if key[0] == endpoint.url]:
            del self._urls[url, path]
        self._stale_until.pop(endpoint.url, None)

    async def close(self) -> None:
        await self._session.close()
        await self._unkept.close()


def _limit(
    *, total: float | None = None, sock_connect: float | None = None
) -> aiohttp.ClientTimeout:
    """Seconds as they are given: aiohttp rounds longer waits up to whole ones."""
    return aiohttp.ClientTimeout(
        total=total, sock_connect=sock_connect, ceil_threshold=float("inf")
    )


def _is_by_a_long_line(error: BaseException) -> bool:
    """aiohttp tells of it under two errors that may mean other things."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, LineTooLong):
        cause = cause.__cause__
    return cause is not None


class _LargeBody(Payload):
    """A body that is written in pieces: others have their turn between them, and no copy of all of
    it is made."""

    _value: bytes
    _autoclose = True

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self._size = len(body)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self._value.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        view = memoryview(self._value)
        for start in range(0, len(view), PIECE_BYTES):
            await writer.write(view[start : start + PIECE_BYTES])
            await asyncio.sleep(0)


def _payload(body: bytes | None) -> bytes | Payload | None:
    return body if body is None or len(body) <= PIECE_BYTES else _LargeBody(body)


def _bearer(key: str | None) -> str | None:
    return f"Bearer {key}" if key else None
