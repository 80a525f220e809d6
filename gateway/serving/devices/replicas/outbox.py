"""The way of messages to other replicas, in order, without anybody waiting for it."""

from __future__ import annotations

import asyncio
from collections import deque

from gateway.core.ports import StateStore
from gateway.errors import StateLost
from gateway.serving.devices.replicas.messages import ENCODE_ERRORS, Message, bundled, encode

MAX_WAITING = 16 << 20
"""Bytes that may wait. What is beyond is dropped, and its reader notices the gap."""
MAX_BUNDLE = 64
MAX_BUNDLE_BYTES = 1 << 18
"""Of several messages. A bundle that the store refuses is lost with all that is in it, so a
large message travels alone."""


class ReplicaOutbox:
    """`put` never waits. Messages that wait for one channel travel together."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._size = 0
        self._news = asyncio.Event()

    def put(self, channel: str, message: Message) -> bool:
        """Gives False for what is dropped: too much waits already, or it can't be written. It is
        written here, so that it takes nobody else's message with it."""
        try:
            data = encode(message)
        except ENCODE_ERRORS:
            return False
        if self._size + len(data) > MAX_WAITING:
            return False
        self._waiting.append((channel, data))
        self._size += len(data)
        self._news.set()
        return True

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
                await self._store.publish(channel, bundled(bundle))
            except StateLost:
                pass

    def _take(self) -> tuple[str, list[bytes]]:
        """The next messages that go to one channel, as far as they stand together."""
        channel, first = self._waiting.popleft()
        bundle, size = [first], len(first)
        while self._waiting and len(bundle) < MAX_BUNDLE:
            to, data = self._waiting[0]
            if to != channel or size + len(data) > MAX_BUNDLE_BYTES:
                break
            self._waiting.popleft()
            bundle.append(data)
            size += len(data)
        self._size -= size
        return channel, bundle
