"""The way of messages to other replicas, in order, without anybody waiting for it."""

from __future__ import annotations

import asyncio
from collections import deque

from gateway.core.ports import StateStore
from gateway.errors import StateLost
from gateway.serving.members.messages import Message, Text, encode

MAX_WAITING = 16 << 20
"""Characters of text that may wait. What is beyond is dropped, and its reader notices the gap."""
MAX_BUNDLE = 64
MESSAGE_SIZE = 256


class Courier:
    """`put` never waits. Messages that wait for one channel travel together."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._waiting: deque[tuple[str, Message]] = deque()
        self._size = 0
        self._news = asyncio.Event()

    def put(self, channel: str, message: Message) -> None:
        size = _size(message)
        if self._size + size <= MAX_WAITING:
            self._waiting.append((channel, message))
            self._size += size
            self._news.set()

    async def run(self) -> None:
        """Send what comes, for ever. What the store can't take is lost, which its reader notices:
        by a gap in the numbers, or by the heartbeats that stay away."""
        while True:
            await self._news.wait()
            self._news.clear()
            await self.flush()

    async def flush(self) -> None:
        while self._waiting:
            channel, bundle = self._take()
            try:
                await self._store.publish(channel, encode(bundle))
            except StateLost:
                pass

    def _take(self) -> tuple[str, list[Message]]:
        """The next messages that go to one channel, as far as they stand together."""
        channel, bundle = self._waiting[0][0], list[Message]()
        while self._waiting and self._waiting[0][0] == channel and len(bundle) < MAX_BUNDLE:
            _, message = self._waiting.popleft()
            self._size -= _size(message)
            bundle.append(message)
        return channel, bundle


def _size(message: Message) -> int:
    return MESSAGE_SIZE + (len(message.text) if isinstance(message, Text) else 0)
