"""The measuring client: one question at a time, to any of the benchmark's targets."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from time import monotonic

from loadtest.measure.chat import PATH, chat_body
from loadtest.measure.closed_loop import GRACE_S, checked
from loadtest.measure.http_client import Connection, Exchange, Target, post
from loadtest.speculation.token_streams import TokenStream, read_token_stream

MAX_TOKENS = 96
COMPLETIONS = "/v1/completions"
WINDOW_HEADER = "x-tierflow-draft-window"
IDLE_S = 2.0
"""Servers close connections that idle for long: after this time a new one is opened."""


def request(model: str, question: str, window: str | None = None) -> bytes:
    """A streamed chat question whose chunks carry token ids, answered greedily."""
    body = chat_body(model, question, max_tokens=MAX_TOKENS, stream=True, return_token_ids=True)
    return post(PATH, body, {WINDOW_HEADER: window} if window else None)


class Client:
    """A kept-alive connection to every target, within a block."""

    def __init__(self, targets: Mapping[str, Target]) -> None:
        self._targets = targets
        self._connections: dict[str, Connection] = {}
        self._used: dict[str, float] = {}

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *error: object) -> None:
        for connection in self._connections.values():
            connection.close()

    async def ask(self, target: str, request: bytes) -> TokenStream:
        """Raises BenchmarkFailure for any answer but a whole one."""
        return read_token_stream(await self._exchange(target, request))

    async def body(self, target: str, request: bytes) -> bytes:
        """The body of an answer in one piece. Raises BenchmarkFailure."""
        return (await self._exchange(target, request)).body

    async def _exchange(self, target: str, request: bytes) -> Exchange:
        async with asyncio.timeout(GRACE_S):
            connection = await self._connection(target)
            exchange = checked(await connection.exchange(request))
        self._used[target] = monotonic()
        return exchange

    async def _connection(self, target: str) -> Connection:
        kept = self._connections.get(target)
        if kept is not None:
            if monotonic() - self._used.get(target, 0.0) < IDLE_S:
                return kept
            kept.close()
        self._connections[target] = await Connection.open(self._targets[target])
        return self._connections[target]
