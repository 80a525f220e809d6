"""How often the store is asked who is behind a token."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.adapters.state.memory import MemoryStore
from gateway.core.state.operations import Advance, Operation
from gateway.serving.devices.enrolment_records import TOKENS, DeviceRecord, encode
from gateway.serving.devices.tokens import MAX_REMEMBERED, REMEMBERED_S, DeviceTokens, digest

pytestmark = pytest.mark.anyio


class StoppedClock:
    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time


class CountingStore(MemoryStore):
    runs = 0

    async def run(self, *operations: Operation) -> list[Any]:
        self.runs += 1
        return await super().run(*operations)


class Scene:
    def __init__(self) -> None:
        self.clock = StoppedClock()
        self.store = CountingStore(self.clock)
        self.tokens = DeviceTokens(tokens={}, owners={}, store=self.store, clock=self.clock)

    async def enrolled(self, token: str) -> None:
        record = DeviceRecord(
            device="phone",
            owner="ann",
            privacy=frozenset(),
            digest=digest(token),
            enrolment=digest("tfe_"),
            enrolled_at=0,
        )
        await self.store.run(
            Advance(kind=TOKENS, name=record.digest, expected=0, value=encode(record), ttl_s=600.0)
        )
        self.store.runs = 0

    async def owner(self, token: str) -> tuple[str, str] | None:
        return await self.tokens.callers_owner(f"Bearer {token}")


async def test_a_token_that_is_unknown_costs_one_look_in_a_few_seconds() -> None:
    scene = Scene()
    assert [await scene.owner("tfd_nobody") for _ in range(5)] == [None] * 5
    assert scene.store.runs == 1
    scene.clock.time += REMEMBERED_S
    assert await scene.owner("tfd_nobody") is None
    assert scene.store.runs == 2


async def test_a_token_that_was_unknown_is_found_a_few_seconds_after_it_is_good() -> None:
    scene = Scene()
    assert await scene.owner("tfd_phone") is None
    await scene.enrolled("tfd_phone")
    scene.clock.time += REMEMBERED_S
    assert await scene.owner("tfd_phone") == ("phone", "ann")


async def test_guesses_put_no_known_token_out_of_memory() -> None:
    scene = Scene()
    await scene.enrolled("tfd_phone")
    await scene.owner("tfd_phone")
    for number in range(MAX_REMEMBERED + 1):
        await scene.owner(f"tfd_{number}")
    scene.store.runs = 0
    assert await scene.owner("tfd_phone") == ("phone", "ann")
    assert scene.store.runs == 0


async def test_a_token_of_something_else_costs_no_look() -> None:
    scene = Scene()
    assert await scene.owner("sk-of-a-user") is None
    assert scene.store.runs == 0
