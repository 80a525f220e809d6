"""The measuring client: one question at a time, by any of the ways to an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from time import monotonic

from loadtest.measure.loops import GRACE_S, checked
from loadtest.measure.processes import HOST
from loadtest.measure.wire import Connection, Exchange, Target, post
from loadtest.speculation.answers import TokenStream, read
from loadtest.speculation.parts import Parts

MAX_TOKENS = 96
CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
WINDOW_HEADER = "x-tierflow-draft-window"
DEVICE_CLOUD, DEVICE_EDGE = "tierflow-device-cloud", "tierflow-device-edge"
ON_DEVICE = "tierflow-on-device"


def request(model: str, question: str, window: str | None = None) -> bytes:
    """A streamed chat question whose chunks carry token ids, answered greedily."""
    fields = {
        "model": model,
        "messages": [{"role": "user", "content": question}],
        "max_tokens": MAX_TOKENS,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_token_ids": True,
    }
    return post(CHAT, fields, {WINDOW_HEADER: window} if window else None)


IDLE_S = 2.0
"""Servers close connections that idle for long: after this time a new one is made."""


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

    async def ask(self, target: str, wanted: bytes) -> TokenStream:
        """Raises BenchmarkFailure for any answer but a whole one."""
        return read(await self._exchange(target, wanted))

    async def body(self, target: str, wanted: bytes) -> bytes:
        """Of an answer in one piece. Raises BenchmarkFailure."""
        return (await self._exchange(target, wanted)).body

    async def _exchange(self, target: str, wanted: bytes) -> Exchange:
        async with asyncio.timeout(GRACE_S):
            connection = await self._connection(target)
            exchange = checked(await connection.exchange(wanted))
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


def targets(parts: Parts) -> dict[str, Target]:
    """`server-only` lies behind the link; the agents (by drafter) are on this side of it."""
    found = {
        "direct": parts.engines.plain["cloud"].target,
        "server-only": Target(HOST, parts.ports["server-only"]),
    }
    return found | {drafter: agent.target for drafter, agent in parts.agents.items()}
