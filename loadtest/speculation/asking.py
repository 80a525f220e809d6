"""The measuring client: one question at a time, by any of the ways to an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack

from loadtest.measure.loops import GRACE_S, checked, opened
from loadtest.measure.processes import HOST
from loadtest.measure.wire import Connection, Target, post
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


class Client:
    """A kept-alive connection to every target, within a block."""

    def __init__(self, targets: Mapping[str, Target]) -> None:
        self._targets = targets
        self._stack = AsyncExitStack()
        self._connections: dict[str, Connection] = {}

    async def __aenter__(self) -> Client:
        for name, target in self._targets.items():
            self._connections[name] = await opened(self._stack, target)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    async def ask(self, target: str, wanted: bytes) -> TokenStream:
        """Raises BenchmarkFailure for any answer but a whole one."""
        async with asyncio.timeout(GRACE_S):
            return read(checked(await self._connections[target].exchange(wanted)))

    async def body(self, target: str, wanted: bytes) -> bytes:
        """Of an answer in one piece. Raises BenchmarkFailure."""
        async with asyncio.timeout(GRACE_S):
            return checked(await self._connections[target].exchange(wanted)).body


def targets(parts: Parts) -> dict[str, Target]:
    """`server-only` lies behind the link; the agents (by drafter) are on this side of it."""
    found = {
        "direct": parts.engines.plain["cloud"].target,
        "server-only": Target(HOST, parts.ports["server-only"]),
    }
    return found | {drafter: agent.target for drafter, agent in parts.agents.items()}
