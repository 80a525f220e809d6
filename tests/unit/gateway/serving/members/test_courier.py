"""Messages on their way to other replicas: bundled, and none at the cost of another."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.adapters.clock import MonotonicClock
from gateway.adapters.memory_store import MemoryStore
from gateway.core.devices.member import WorkOrder
from gateway.serving.members.courier import Courier
from gateway.serving.members.messages import Message, Order, Text, decode

pytestmark = pytest.mark.anyio


class Reader:
    """`bundles` are those that came over its channel."""

    def __init__(self) -> None:
        self.store = MemoryStore(MonotonicClock())
        self.courier = Courier(self.store)
        self.bundles: list[bytes] = []

    @property
    def messages(self) -> list[Message]:
        return [message for bundle in self.bundles for message in decode(bundle)]

    async def listen(self) -> Reader:
        await self.store.listen("replies:a", self.bundles.append)
        return self


def text(n: int, said: str = "7") -> Text:
    return Text("id", n, said, 1)


async def test_a_message_that_cannot_be_written_is_dropped_alone() -> None:
    reader, deep = await Reader().listen(), list[Any]()
    for _ in range(5000):
        deep = [deep]
    wrong = Order("id", "a", "phone", "i", WorkOrder("generate", deep, 1, 1.0))
    assert reader.courier.put("replies:a", text(0))
    assert not reader.courier.put("replies:a", wrong)
    assert reader.courier.put("replies:a", text(1))
    await reader.courier.flush()
    assert reader.messages == [text(0), text(1)]
    assert len(reader.bundles) == 1
