"""Messages to other replicas: a queue in order, which nobody waits for."""

from __future__ import annotations

import asyncio
from collections import deque

from gateway.core.ports import StateStore
from gateway.errors import StateLost
from gateway.serving.devices.outbox import flush_forever
from gateway.serving.devices.replicas.messages import ENCODE_ERRORS, Message, bundle, encode

MAX_WAITING = 16 << 20
"""Bytes that may wait. What is beyond is dropped, and its reader notices the gap."""
MAX_BUNDLE = 64
MAX_BUNDLE_BYTES = 1 << 18
"""Of several messages. A bundle that the store refuses is lost with all that is in it, so a
large message travels alone."""


class ReplicaOutbox:
    """A bounded queue of messages to other replicas. `put` never waits, and messages that wait for
    one channel travel together.

    A message that the store can't publish is lost. Its reader notices by a gap in the numbers, or
    by heartbeats that stay away.
    """

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._size = 0
        self._added = asyncio.Event()

    def put(self, channel: str, message: Message) -> bool:
        """Gives False for a message that is dropped: too much waits already, or it can't be
        encoded. It is encoded here, so that a bad one takes no other message with it."""
        try:
            data = encode(message)
        except ENCODE_ERRORS:
            return False
        if self._size + len(data) > MAX_WAITING:
            return False
        self._waiting.append((channel, data))
        self._size += len(data)
        self._added.set()
        return True

    async def run(self) -> None:
        """Send messages as they come, for ever."""
        await flush_forever(self._added, self.flush)

    async def flush(self) -> None:
        while self._waiting:
            channel, messages = self._next()
            try:
                await self._store.publish(channel, bundle(messages))
            except StateLost:
                pass

    def _next(self) -> tuple[str, list[bytes]]:
        """The first channel, and the first messages to it that stand together."""
        channel, first = self._waiting.popleft()
        messages, size = [first], len(first)
        while self._waiting and len(messages) < MAX_BUNDLE:
            to, data = self._waiting[0]
            if to != channel or size + len(data) > MAX_BUNDLE_BYTES:
                break
            self._waiting.popleft()
            messages.append(data)
            size += len(data)
        self._size -= size
        return channel, messages
