"""The keys with which an issuer signs, read again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import jwt
import orjson
import structlog

from gateway.core.ports import Clock

REFRESH_S = 300.0
LEAST_PAUSE_S = 10.0
"""Between two looks, however many tokens name keys that are not known."""
FETCH_S = 5.0
MAX_BYTES = 1024 * 1024

log = structlog.get_logger("tierflow.access")


class KeySetProblem(Exception):
    """Why an issuer's keys can't be read, in words for an operator."""


class KeySet:
    """The public keys of one issuer by their ids, which `read` gives as a JSON Web Key Set.

    `problem`: why they could not be read when that was tried last; those before stay good.
    `changed` is called when they differ.
    """

    def __init__(
        self,
        *,
        issuer: str,
        read: Callable[[], Awaitable[bytes]],
        clock: Clock,
        changed: Callable[[], None],
    ) -> None:
        self.issuer = issuer
        self.problem = ""
        self._read = read
        self._clock = clock
        self._changed = changed
        self._content = b""
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._read_at = float("-inf")
        self._lock = asyncio.Lock()

    @property
    def known(self) -> bool:
        """Whether there are keys at all."""
        return bool(self._keys)

    async def find(self, id: str | None) -> jwt.PyJWK | None:
        """The key of this id. The keys are read anew for one that is not there, but not by every
        token: a made-up id costs nobody a wait. `id` None: the only key there is."""
        if (key := self._named(id)) is None:
            await self.refresh(LEAST_PAUSE_S)
            key = self._named(id)
        return key

    async def refresh(self, least_s: float = 0.0) -> None:
        """Read the keys, unless that was tried less than `least_s` ago. Never raises."""
        async with self._lock:
            if self._clock.now() - self._read_at < least_s:
                return
            self._read_at = self._clock.now()
            try:
                content = await self._read()
                keys = {key.key_id: key for key in _signing_keys(content)}
            except KeySetProblem as problem:
                self._note(str(problem))
                return
            except Exception as error:
                # Whatever it is: the keys before stay good, and a caller's request must not fail.
                self._note(f"reading them failed with {type(error).__name__}")
                return
            self.problem = ""
            if content != self._content:
                self._content, self._keys = content, keys
                log.info("issuer_keys_read", issuer=self.issuer, keys=len(keys))
                self._changed()

    def _note(self, problem: str) -> None:
        if not self.problem:
            log.warning("issuer_keys_not_read", issuer=self.issuer, problem=problem)
        self.problem = problem

    async def run(self) -> None:
        """Keep them fresh."""
        while True:
            await self.refresh()
            await asyncio.sleep(REFRESH_S if not self.problem else LEAST_PAUSE_S)

    def _named(self, id: str | None) -> jwt.PyJWK | None:
        if id is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(id)


def _signing_keys(content: bytes) -> list[jwt.PyJWK]:
    """Those of other uses and of kinds that are not known are passed over."""
    try:
        data = orjson.loads(content)
        keys = jwt.PyJWKSet.from_dict(data).keys
    except (orjson.JSONDecodeError, jwt.PyJWTError, AttributeError, TypeError, ValueError) as error:
        raise KeySetProblem(f"it is no JSON Web Key Set: {type(error).__name__}") from error
    return [key for key in keys if key.public_key_use in (None, "sig") and key.key_type != "oct"]


async def read_file(path: Path) -> bytes:
    """Raises KeySetProblem."""
    try:
        content = await asyncio.to_thread(path.read_bytes)
    except OSError as error:
        raise KeySetProblem(f"{path}: {error.strerror}") from error
    return content


async def fetch(client: httpx.AsyncClient, url: str) -> bytes:
    """Raises KeySetProblem."""
    try:
        async with asyncio.timeout(FETCH_S), client.stream("GET", url) as answer:
            if answer.status_code != 200:
                raise KeySetProblem(f"{url} answers with status {answer.status_code}")
            content = b""
            async for piece in answer.aiter_bytes():
                content += piece
                if len(content) > MAX_BYTES:
                    raise KeySetProblem(f"{url} has more than {MAX_BYTES} bytes")
    except (httpx.HTTPError, TimeoutError) as error:
        raise KeySetProblem(f"{url}: {type(error).__name__}") from error
    return content
