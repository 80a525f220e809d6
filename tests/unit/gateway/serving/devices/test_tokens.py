"""How often the store is asked about devices' tokens, and in how large calls."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from gateway.core.access.key import token_digest
from gateway.core.state import bounds
from gateway.core.state.operations import Advance
from gateway.serving.devices.enrolment_records import TOKENS, DeviceRecord, encode
from gateway.serving.devices.tokens import (
    MAX_REMEMBERED,
    REMEMBERED_S,
    DeviceTokens,
    TokenWatch,
)
from tests.unit.gateway.build import BOUNDS
from tests.unit.gateway.fakes import CountingStore, StoppedClock

pytestmark = pytest.mark.anyio


class TokenLookups:
    """The tokens of devices, on a store that counts."""

    def __init__(self) -> None:
        self.clock = StoppedClock()
        self.store = CountingStore(self.clock, BOUNDS)
        self.tokens = DeviceTokens(tokens={}, owners={}, store=self.store, clock=self.clock)

    async def enrolled(self, token: str) -> None:
        record = DeviceRecord(
            device="phone",
            owner="ann",
            privacy=frozenset(),
            digest=token_digest(token),
            enrolment=token_digest("tfe_"),
            enrolled_at=0,
        )
        await self.store.run(
            Advance(kind=TOKENS, name=record.digest, expected=0, value=encode(record), ttl_s=600.0)
        )
        self.store.trips = 0

    async def owner(self, token: str) -> tuple[str, str] | None:
        grant = await self.tokens.device_of(f"Bearer {token}")
        return None if grant is None else (grant.device, grant.owner or "")


async def test_an_unknown_token_is_looked_up_once_in_a_few_seconds() -> None:
    lookups = TokenLookups()
    assert [await lookups.owner("tfd_nobody") for _ in range(5)] == [None] * 5
    assert lookups.store.trips == 1
    lookups.clock.time += REMEMBERED_S
    assert await lookups.owner("tfd_nobody") is None
    assert lookups.store.trips == 2


async def test_a_token_that_was_unknown_is_found_a_few_seconds_after_it_is_good() -> None:
    lookups = TokenLookups()
    assert await lookups.owner("tfd_phone") is None
    await lookups.enrolled("tfd_phone")
    lookups.clock.time += REMEMBERED_S
    assert await lookups.owner("tfd_phone") == ("phone", "ann")


async def test_guessed_tokens_put_no_known_token_out_of_memory() -> None:
    lookups = TokenLookups()
    await lookups.enrolled("tfd_phone")
    await lookups.owner("tfd_phone")
    for number in range(MAX_REMEMBERED + 1):
        await lookups.owner(f"tfd_{number}")
    lookups.store.trips = 0
    assert await lookups.owner("tfd_phone") == ("phone", "ann")
    assert lookups.store.trips == 0


async def test_a_token_of_another_kind_is_not_looked_up() -> None:
    lookups = TokenLookups()
    assert await lookups.owner("sk-of-a-user") is None
    assert lookups.store.trips == 0


async def test_tokens_are_checked_in_calls_that_the_store_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bounds, "MAX_OPERATIONS", 2)
    lookups, connections = TokenLookups(), ForgottenConnections()
    watch = TokenWatch(
        devices=connections, tokens=lookups.tokens, store=lookups.store, clock=lookups.clock
    )
    await watch.turn()
    assert connections.ended == [], "a store may be empty for a moment"
    await watch.turn()
    assert connections.ended == [(f"phone-{n}", "unknown_token") for n in range(5)]
    assert lookups.store.largest == 2


class ForgottenConnections:
    """Five devices whose tokens are not in the store."""

    def __init__(self) -> None:
        self.ended: list[tuple[str, str]] = []

    def enrolled_tokens(self) -> Mapping[str, str]:
        return {f"phone-{n}": f"digest-{n}" for n in range(5)}

    def end_enrolled(self, device: str, digest: str, code: str, message: str) -> None:
        self.ended.append((device, code))
