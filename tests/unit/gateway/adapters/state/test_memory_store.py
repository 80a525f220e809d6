"""The state of one replica is bounded, whatever its callers do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.adapters.state.memory import MemoryStore
from gateway.core.state.operations import Advance, Claim, Held, Hold, Release, Spend
from gateway.errors import StateLost
from tests.unit.gateway.build import BOUNDS

pytestmark = pytest.mark.anyio


class Stopped:
    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time


def hold(name: str, value: bytes = b"", ttl_s: float = 10.0) -> Hold:
    return Hold(kind="device", name=name, holder="one", value=value, ttl_s=ttl_s)


async def test_a_kind_that_is_full_takes_nothing_from_the_others() -> None:
    clock = Stopped()
    store = MemoryStore(clock, replace(BOUNDS, max_entries=3))
    for number in range(3):
        await store.run(
            Claim(name=f"key-{number}", digest="body", holder="one", lease_s=5.0, ttl_s=10.0)
        )
    with pytest.raises(StateLost, match="3 entries") as full:
        await store.run(
            Claim(name="one too many", digest="body", holder="one", lease_s=5.0, ttl_s=10.0)
        )
    assert full.value.code == "state_full"
    assert await store.run(hold("phone")) == [True]
    assert await store.run(
        Claim(name="key-0", digest="body", holder="one", lease_s=5.0, ttl_s=10.0)
    ), "what is there goes on"
    clock.time = 11.0
    await store.run(
        Claim(name="one too many", digest="body", holder="one", lease_s=5.0, ttl_s=10.0)
    )


async def test_bytes_are_bounded_too_and_given_back() -> None:
    store = MemoryStore(Stopped(), replace(BOUNDS, max_bytes=100))
    await store.run(hold("a", bytes(80)))
    with pytest.raises(StateLost, match="100 bytes"):
        await store.run(hold("b", bytes(30)))
    await store.run(hold("a", bytes(10)), hold("b", bytes(30)))
    assert set((await store.run(Held("device")))[0]) == {"a", "b"}


async def test_what_expired_is_cleared_away_by_whatever_is_done_next() -> None:
    clock = Stopped()
    store = MemoryStore(clock, BOUNDS)
    for number in range(1000):
        await store.run(
            Advance(kind="collective", name=str(number), expected=0, value=b"", ttl_s=10.0)
        )
    assert store.entries == 1000
    clock.time = 11.0
    for _ in range(20):
        await store.run(Held("device"))
    assert store.entries == 0


async def test_leases_that_are_taken_and_given_up_again_leave_nothing() -> None:
    clock = Stopped()
    store = MemoryStore(clock, BOUNDS)
    for number in range(5000):
        clock.time += 0.001
        await store.run(Hold(kind="work", name="phone", holder=str(number), value=b"", ttl_s=60.0))
        await store.run(Release("work", "phone", str(number)))
    assert store.entries == 0
    assert len(store._expiry) <= 1, "one look ahead for each record, however often it is renewed"


async def test_a_bucket_that_is_full_again_is_not_kept() -> None:
    clock = Stopped()
    store = MemoryStore(clock, BOUNDS)
    await store.run(Spend(kind="quota", name="caller", amount=5.0, burst=10.0, per_s=1.0))
    assert store.entries == 1
    clock.time = 6.0
    await store.run(Held("device"))
    assert store.entries == 0
