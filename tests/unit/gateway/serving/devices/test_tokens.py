"""How often the store is asked about devices' tokens, and in how large calls."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network

import pytest

from gateway.core.access.key import token_digest
from gateway.core.state import bounds
from gateway.core.state.operations import Advance
from gateway.errors import TooManyAttempts
from gateway.serving.devices.enrolment_records import TOKENS, DeviceRecord, encode
from gateway.serving.devices.token_attempts import TokenAttempts
from gateway.serving.devices.tokens import (
    MAX_REMEMBERED,
    REMEMBERED_S,
    DeviceTokens,
    TokenWatch,
)
from tests.unit.gateway.build import BOUNDS
from tests.unit.gateway.fakes import CountingStore, StoppedClock

pytestmark = pytest.mark.anyio

NOBODY, PHONE = "tfd_" + "n" * 43, "tfd_" + "p" * 43


class TokenLookups:
    """The tokens of devices, on a store that counts."""

    def __init__(self) -> None:
        self.clock = StoppedClock()
        self.store = CountingStore(self.clock, BOUNDS)
        self.tokens = DeviceTokens(
            tokens={},
            owners={},
            store=self.store,
            clock=self.clock,
            attempts=TokenAttempts(self.store, self.clock),
        )

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
    assert [await lookups.owner(NOBODY) for _ in range(5)] == [None] * 5
    assert lookups.store.trips == 1
    lookups.clock.time += REMEMBERED_S
    assert await lookups.owner(NOBODY) is None
    assert lookups.store.trips == 2


async def test_a_token_that_was_unknown_is_found_a_few_seconds_after_it_is_good() -> None:
    lookups = TokenLookups()
    assert await lookups.owner(PHONE) is None
    await lookups.enrolled(PHONE)
    lookups.clock.time += REMEMBERED_S
    assert await lookups.owner(PHONE) == ("phone", "ann")


async def test_guessed_tokens_put_no_known_token_out_of_memory() -> None:
    lookups = TokenLookups()
    await lookups.enrolled(PHONE)
    await lookups.owner(PHONE)
    for number in range(MAX_REMEMBERED + 1):
        await lookups.owner(f"tfd_{number:043}")
    lookups.store.trips = 0
    assert await lookups.owner(PHONE) == ("phone", "ann")
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


@pytest.mark.parametrize("rest", ["", "x" * 44, "x" * 42 + "/", "x" * 42 + "é", "x" * 4000])
async def test_what_no_token_looks_like_is_refused_without_a_look(rest: str) -> None:
    lookups = TokenLookups()
    assert await lookups.owner("tfd_" + rest) is None
    refused = await lookups.tokens.refusal("Bearer tfd_" + rest)
    assert (refused.code, lookups.store.trips) == ("unknown_device_token", 0)


async def test_an_address_that_guesses_is_barred_but_not_a_device_known_behind_it() -> None:
    lookups = TokenLookups()
    await lookups.enrolled(PHONE)
    find = lookups.tokens.find
    assert await find(f"Bearer {PHONE}", "1.2.3.4") is not None
    barred = False
    for number in range(50):
        try:
            await find(f"Bearer tfd_{number:043}", "1.2.3.4")
        except TooManyAttempts:
            barred = True
    trips = lookups.store.trips
    assert barred and trips < 30
    for door in (find, lookups.tokens.device_of):
        with pytest.raises(TooManyAttempts):
            await door(f"Bearer {NOBODY}", "1.2.3.4")
    assert lookups.store.trips == trips
    assert await find(f"Bearer {PHONE}", "1.2.3.4") is not None
    assert await find(f"Bearer {NOBODY}", "5.6.7.8") is None


async def test_behind_a_proxy_a_good_token_is_found_while_others_guess() -> None:
    lookups = TokenLookups()
    attempts = TokenAttempts(lookups.store, lookups.clock, [ip_network("10.0.0.0/8")])
    await lookups.enrolled(PHONE)
    with pytest.raises(TooManyAttempts):
        for _ in range(50):
            await attempts.count_wrong("10.0.0.7")
    tokens = DeviceTokens(
        tokens={}, owners={}, store=lookups.store, clock=lookups.clock, attempts=attempts
    )
    assert await tokens.find(f"Bearer {PHONE}", "10.0.0.7") is not None
