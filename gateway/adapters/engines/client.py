"""The `ModelServer` port on aiohttp: one keep-alive pool for all engines."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import aiohttp
from yarl import URL

from gateway.core.types import Endpoint
from gateway.core.upstream_errors import check_failed, connect_failed, connection_broke

KEEP_ALIVE_S = 4.0
"""Below the 5 s after which vLLM's server closes an idle connection."""
DRAIN_S = 1.0
"""How long the end of a connection may come after the end of its answer."""

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
            return await self._response.content.readany()
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


class AiohttpModelServer:
    """The client of the engines, with one pool of connections for all. `connect_timeout_s`
    bounds a new connection; later waits are the caller's."""

    def __init__(
        self,
        connect_timeout_s: float,
        api_keys: Mapping[str, str | None],
        default_key: str | None = None,
    ) -> None:
        """`api_keys` maps a pool's name to the bearer token that its engines ask for, None for
        none; `default_key` is for pools that are not in it."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_SKIPPED,
            auto_decompress=False,
            read_bufsize=2**18,
            trust_env=False,
        )
        self._urls: dict[tuple[str, str], URL] = {}
        self._authorization = {pool: _bearer(key) for pool, key in api_keys.items()}
        self._default = _bearer(default_key)

    async def open(
        self, endpoint: Endpoint, path: str, headers: Mapping[str, str], body: bytes
    ) -> EngineAnswer:
        url = self._urls.get((endpoint.url, path))
        if url is None:
            url = self._urls[endpoint.url, path] = URL(endpoint.url + path)
        if key := self._authorization.get(endpoint.pool, self._default):
            headers = {**headers, "Authorization": key}
        try:
            response = await self._post(url, headers, body)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise connect_failed(endpoint.id) from error
        except (aiohttp.ClientError, OSError) as error:
            raise connection_broke(endpoint.id, "before it answered") from error
        return EngineAnswer(response, endpoint)

    async def _post(
        self, url: URL, headers: Mapping[str, str], body: bytes
    ) -> aiohttp.ClientResponse:
        try:
            return await self._session.post(url, data=body, headers=headers, allow_redirects=False)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            # Most often a kept-alive connection that the engine closed at this very moment.
            return await self._session.post(url, data=body, headers=headers, allow_redirects=False)

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
        key = self._authorization.get(endpoint.pool, self._default)
        try:
            async with self._session.request(
                method,
                URL(endpoint.url + path),
                json=body,
                headers={"Authorization": key} if key else None,
                timeout=aiohttp.ClientTimeout(total=timeout_s),
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

    async def close(self) -> None:
        await self._session.close()


def _bearer(key: str | None) -> str | None:
    return f"Bearer {key}" if key else None
