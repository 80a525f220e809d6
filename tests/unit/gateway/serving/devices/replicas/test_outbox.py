"""Messages on their way to other replicas: bundled, and none at the cost of another."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.adapters.clock import MonotonicClock
from gateway.adapters.state.memory import MemoryStore
from gateway.core.devices.member import WorkOrder
from gateway.serving.devices.replicas.messages import Message, RemoteOrder, WorkText, decode
from gateway.serving.devices.replicas.outbox import (
    MAX_BUNDLE,
    MAX_BUNDLE_BYTES,
    MAX_WAITING,
    ReplicaOutbox,
)
from tests.unit.gateway.build import BOUNDS

pytestmark = pytest.mark.anyio


class Reader:
    """`bundles` are those that came over its channel."""

    def __init__(self) -> None:
        self.store = MemoryStore(MonotonicClock(), BOUNDS)
        self.replica_outbox = ReplicaOutbox(self.store)
        self.bundles: list[bytes] = []

    @property
    def messages(self) -> list[Message]:
        return [message for bundle in self.bundles for message in decode(bundle)]

    async def listen(self) -> Reader:
        await self.store.listen("replies:a", self.bundles.append)
        return self


def text(n: int, content: str = "7") -> WorkText:
    return WorkText(id="id", n=n, text=content, tokens=1)


async def test_a_message_that_cannot_be_written_is_dropped_alone() -> None:
    reader, deep = await Reader().listen(), list[Any]()
    for _ in range(5000):
        deep = [deep]
    wrong = RemoteOrder(
        id="id",
        asker="a",
        device="phone",
        instance="i",
        order=WorkOrder(kind="generate", messages=deep, max_tokens=1, deadline_s=1.0),
    )
    assert reader.replica_outbox.put("replies:a", text(0))
    assert not reader.replica_outbox.put("replies:a", wrong)
    assert reader.replica_outbox.put("replies:a", text(1))
    await reader.replica_outbox.flush()
    assert reader.messages == [text(0), text(1)]
    assert len(reader.bundles) == 1


async def test_large_messages_take_none_with_them_that_the_store_would_refuse() -> None:
    reader = await Reader().listen()
    large = MAX_BUNDLE_BYTES * 3 // 4
    sent = [text(n, "x" * (large if n % 4 else 1)) for n in range(24)]
    sent.append(text(24, "x" * (MAX_BUNDLE_BYTES + 1)))
    for message in sent:
        assert reader.replica_outbox.put("replies:a", message)
    await reader.replica_outbox.flush()
    assert reader.messages == sent
    together = [len(bundle) for bundle in reader.bundles if len(decode(bundle)) > 1]
    assert max(together) <= MAX_BUNDLE_BYTES + MAX_BUNDLE
    assert len(reader.bundles) < len(sent)


async def test_small_messages_for_one_channel_travel_together() -> None:
    reader = await Reader().listen()
    for n in range(2 * MAX_BUNDLE):
        reader.replica_outbox.put("replies:a", text(n))
    await reader.replica_outbox.flush()
    assert [len(decode(bundle)) for bundle in reader.bundles] == [MAX_BUNDLE, MAX_BUNDLE]


async def test_an_order_counts_with_its_messages_towards_what_may_wait() -> None:
    replica_outbox = Reader().replica_outbox
    messages = [{"role": "user", "content": "x" * (1 << 18)}]
    one = RemoteOrder(
        id="id",
        asker="a",
        device="phone",
        instance="i",
        order=WorkOrder(kind="generate", messages=messages, max_tokens=1, deadline_s=1.0),
    )
    taken = [replica_outbox.put("work:b", one) for _ in range(MAX_WAITING // (1 << 18) + 1)]
    assert taken[0] and not taken[-1]
