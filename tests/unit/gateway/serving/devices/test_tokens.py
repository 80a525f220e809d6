"""How often the store is asked about devices' tokens, and in how large calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from gateway.adapters.state.memory import MemoryStore
from gateway.core.state import bounds
from gateway.core.state.operations import Advance, Operation
from gateway.serving.devices.enrolment_records import TOKENS, DeviceRecord, encode
from gateway.serving.devices.tokens import (
    MAX_REMEMBERED,
    REMEMBERED_S,
    DeviceTokens,
    TokenWatch,
    digest,
)
from tests.unit.gateway.build import BOUNDS

pytestmark = pytest.mark.anyio


class StoppedClock:
    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time


class CountingStore(MemoryStore):
    """Counts its calls; `largest` is the most operations of one call."""

    runs = 0
    largest = 0

    async def run(self, *operations: Operation) -> list[Any]:
        self.runs += 1
        self.largest = max(self.largest, len(operations))
        return await super().run(*operations)


class Scene:
    def __init__(self) -> None:
        self.clock = StoppedClock()
        self.store = CountingStore(self.clock, BOUNDS)
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


async def test_an_unknown_token_is_looked_up_once_in_a_few_seconds() -> None:
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


async def test_guessed_tokens_put_no_known_token_out_of_memory() -> None:
    scene = Scene()
    await scene.enrolled("tfd_phone")
    await scene.owner("tfd_phone")
    for number in range(MAX_REMEMBERED + 1):
        await scene.owner(f"tfd_{number}")
    scene.store.runs = 0
    assert await scene.owner("tfd_phone") == ("phone", "ann")
    assert scene.store.runs == 0


async def test_a_token_of_another_kind_is_not_looked_up() -> None:
    scene = Scene()
    assert await scene.owner("sk-of-a-user") is None
    assert scene.store.runs == 0


async def test_tokens_are_checked_in_calls_that_the_store_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bounds, "MAX_OPERATIONS", 2)
    scene, connections = Scene(), RevokedConnections()
    await TokenWatch(
        devices=connections, tokens=scene.tokens, store=scene.store, clock=scene.clock
    ).turn()
    assert connections.ended == [f"phone-{n}" for n in range(5)]
    assert scene.store.largest == 2


class RevokedConnections:
    """Five devices whose tokens are not in the store."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    def enrolled_tokens(self) -> Mapping[str, str]:
        return {f"phone-{n}": f"digest-{n}" for n in range(5)}

    def end_revoked(self, device: str, digest: str) -> None:
        self.ended.append(device)
