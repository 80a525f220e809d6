"""Where the gateway leaves drafts for this engine: a TCP port, authenticated, bounded.

The scheduler only ever empties a queue in memory; sockets live in a thread of their own, so that
no peer, however slow or broken, can hold up a step. `race.wire` describes what is sent.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable

import msgspec

from services.vllm_server.race import wire
from services.vllm_server.race.wire import Drafts, Greeting

MAX_WAITING = 4096
"""Messages that no step has fetched yet; beyond that the oldest go, as the likeliest to be late."""

MAX_CONNECTIONS = 64
HANDSHAKE_S = 5.0

Report = Callable[[], dict[str, int]]


class Mailbox:
    """Takes drafts on `host`:`port` until `close`; `drain` gives what has arrived.

    A wrong secret or a broken frame costs the peer its connection; a message that is none costs
    only itself, and so do token ids of the vocabulary's size or beyond: no engine may be asked to
    embed them. All are counted. Raises OSError where the address can't be listened on.
    """

    def __init__(
        self, host: str, port: int, secret: bytes, greeting: Greeting, report: Report
    ) -> None:
        self._secret = secret
        self._greeting = greeting
        self._report = report
        self._waiting: deque[tuple[Drafts, int]] = deque(maxlen=MAX_WAITING)
        self._connections = 0
        self._counts = dict.fromkeys(("denied", "refused", "foreign", "dropped", "turned_away"), 0)
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._failure: OSError | None = None
        started = threading.Event()
        # A daemon: it ends with the engine, however that ends.
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

    def drain(self, limit: int) -> list[tuple[Drafts, int]]:
        """At most `limit` messages, each with its arrival (monotonic, us). Never waits."""
        waiting = self._waiting
        return [waiting.popleft() for _ in range(min(limit, len(waiting)))] if waiting else []

    def counts(self) -> dict[str, int]:
        """Since the start, but for `connections`, which is now."""
        return self._report() | self._counts | {"connections": self._connections}

    def close(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5.0)

    def _run(self, host: str, port: int, started: threading.Event) -> None:
        try:
            self._server = self._loop.run_until_complete(
                asyncio.start_server(self._serve, host, port, limit=2 * wire.MAX_MESSAGE)
            )
        except OSError as failure:
            self._failure = failure
            self._loop.close()
            return
        finally:
            started.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._leave(self._server))
        self._loop.close()

    @staticmethod
    async def _leave(server: asyncio.Server) -> None:
        server.close()
        connections = asyncio.all_tasks() - {asyncio.current_task()}
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._connections >= MAX_CONNECTIONS:
            self._counts["turned_away"] += 1
            writer.close()
            return
        self._connections += 1
        try:
            async with asyncio.timeout(HANDSHAKE_S):
                admitted = await self._admit(reader, writer)
            while admitted:
                size = int.from_bytes(await reader.readexactly(4), "big")
                if not 0 < size <= wire.MAX_MESSAGE:
                    self._counts["refused"] += 1
                    return
                await self._take(await reader.readexactly(size), writer)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, OSError):
            # The peer left, was silent in the handshake (TimeoutError), or the engine ends.
            pass
        finally:
            self._connections -= 1
            writer.close()

    async def _admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        nonce = secrets.token_bytes(wire.NONCE_BYTES)
        writer.write(nonce)
        given = await reader.readexactly(32)
        if not hmac.compare_digest(given, wire.proof(self._secret, nonce)):
            self._counts["denied"] += 1
            return False
        writer.write(wire.framed(self._greeting))
        await writer.drain()
        return True

    async def _take(self, message: bytes, writer: asyncio.StreamWriter) -> None:
        if message == wire.COUNTS:
            writer.write(wire.framed(self.counts()))
            await writer.drain()
            return
        try:
            drafts = wire.read_drafts(message)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            self._counts["refused"] += 1
            return
        if max(drafts.tokens) >= self._greeting.vocabulary:
            self._counts["foreign"] += len(drafts.tokens)
            return
        if len(self._waiting) == MAX_WAITING:
            self._counts["dropped"] += 1
        self._waiting.append((drafts, time.monotonic_ns() // 1000))
