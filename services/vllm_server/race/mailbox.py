"""Where the gateway leaves drafts for this engine: a TCP port, authenticated, bounded.

The scheduler only ever empties a queue in memory; sockets live in a thread of their own, so that
no peer, however slow or broken, can hold up a step.

The wire: the server sends 32 random bytes, the client answers with their HMAC-SHA256 under the
shared secret, the server sends one byte 1. After that each message is a 4-byte big-endian length
and a msgpack array `[session, position, token ids, ids before]`. An empty array asks for counts;
a map comes back with the same framing.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Annotated

import msgspec

MAX_MESSAGE = 4096
MAX_TOKENS = 128
MAX_WAITING = 10_000
HANDSHAKE_S = 5.0

Token = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]


class Drafts(msgspec.Struct, array_like=True, frozen=True):
    session: Annotated[str, msgspec.Meta(min_length=8, max_length=64)]
    position: Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
    tokens: Annotated[list[Token], msgspec.Meta(min_length=1, max_length=MAX_TOKENS)]
    before: Annotated[list[Token], msgspec.Meta(max_length=16)] = []


class Mailbox:
    """Takes drafts on `host`:`port` until `close`; `drain` gives what has arrived.

    Draft tokens of `vocabulary` or beyond are refused: no engine may be asked to embed them.
    """

    def __init__(
        self, host: str, port: int, secret: bytes, vocabulary: int, report: Callable[[], dict[str, int]]
    ) -> None:
        self._secret = secret
        self._vocabulary = vocabulary
        self._report = report
        self._waiting: deque[Drafts] = deque()
        self.refused = 0
        self.dropped = 0
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        started: threading.Event = threading.Event()
        self._failure: OSError | None = None
        self._thread = threading.Thread(
            target=self._run, args=(host, port, started), name="draft-mailbox", daemon=True
        )
        self._thread.start()
        started.wait()
        if self._failure is not None:
            raise self._failure

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    def drain(self) -> Iterator[Drafts]:
        """What arrived since the last call. Never waits."""
        for _ in range(len(self._waiting)):
            yield self._waiting.popleft()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5.0)

    def _run(self, host: str, port: int, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._server = self._loop.run_until_complete(
                asyncio.start_server(self._serve, host, port, limit=2 * MAX_MESSAGE)
            )
        except OSError as failure:
            self._failure = failure
            return
        finally:
            started.set()
        self._loop.run_forever()
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(HANDSHAKE_S):
                if not await self._admit(reader, writer):
                    return
            while True:
                size = int.from_bytes(await reader.readexactly(4), "big")
                if not 0 < size <= MAX_MESSAGE:
                    self.refused += 1
                    return
                await self._take(await reader.readexactly(size), writer)
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            pass
        finally:
            writer.close()

    async def _admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        nonce = secrets.token_bytes(32)
        writer.write(nonce)
        await writer.drain()
        given = await reader.readexactly(32)
        if not hmac.compare_digest(given, hmac.digest(self._secret, nonce, hashlib.sha256)):
            self.refused += 1
            return False
        writer.write(b"\x01")
        await writer.drain()
        return True

    async def _take(self, message: bytes, writer: asyncio.StreamWriter) -> None:
        if message == b"\x90":
            counts = self._report() | {"refused": self.refused, "dropped": self.dropped}
            answer = msgspec.msgpack.encode(counts)
            writer.write(len(answer).to_bytes(4, "big") + answer)
            await writer.drain()
            return
        try:
            drafts = msgspec.msgpack.decode(message, type=Drafts)
        except msgspec.MsgspecError:
            self.refused += 1
            return
        if max(drafts.tokens) >= self._vocabulary:
            self.refused += 1
        elif len(self._waiting) >= MAX_WAITING:
            self.dropped += 1
        else:
            self._waiting.append(drafts)
