"""Quotas of keys that two replicas share by one store."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.adapters.state.memory import MemoryStore
from gateway.core.access.quota import KeyUse, RequestUse
from gateway.core.state.operations import Hold, Operation
from gateway.errors import QuotaExceeded, StateLost
from gateway.serving.access.quota_sharing import IN_FLIGHT, QuotaSharing
from gateway.serving.access.quotas import Permit
from tests.unit.gateway.access_rig import AccessRig, api_key, secret
from tests.unit.gateway.build import BOUNDS
from tests.unit.gateway.fakes import StoppedClock

pytestmark = pytest.mark.anyio


class Losable(MemoryStore):
    """A store that can be lost, and counts its round trips."""

    lost, trips = False, 0

    async def run(self, *operations: Operation) -> list[Any]:
        if self.lost:
            raise StateLost("it is away", retry_after=1.0, code="state_lost")
        self.trips += 1
        return await super().run(*operations)


class Two:
    """Two replicas with one key."""

    def __init__(self, **quotas: Any) -> None:
        self.clock = StoppedClock()
        self.store = Losable(self.clock, BOUNDS)
        self.rigs = [AccessRig(api_key(**quotas), clock=self.clock) for _ in range(2)]
        self.sharing = []
        for number, rig in enumerate(self.rigs):
            self.sharing.append(
                QuotaSharing(
                    store=self.store, quotas=rig.quotas, replica=str(number), clock=self.clock
                )
            )

    async def enter(self, at: int, tokens: int = 1) -> Permit:
        identity = await self.rigs[at].access.identify(f"Bearer {secret('team-a')}")
        return self.rigs[at].quotas.enter(identity, tokens, RequestUse(1, tokens))

    def use(self, at: int) -> KeyUse:
        return self.rigs[at].quotas.uses[api_key().identity.owner]

    async def meet_and_enter(self, at: int) -> Permit:
        """Enter there, when it has heard of the other one; raises QuotaExceeded."""
        identity = await self.rigs[at].access.identify(f"Bearer {secret('team-a')}")
        self.rigs[at].quotas.use(identity).used_at = self.clock.now()
        await self.meet()
        return await self.enter(at)

    async def meet_for(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.time += 1
            await self.meet()

    async def meet(self) -> None:
        """Both tell, and hear what the other one has told."""
        for sharing in (*self.sharing, *self.sharing):
            await sharing.turn()


async def leave(permit: Permit) -> None:
    with permit:
        pass


async def test_what_one_lets_in_the_other_counts() -> None:
    two = Two(requests_per_min=10)
    for at in (0, 0, 0, 0, 1):
        await leave(await two.enter(at))
    await two.meet()
    for at in (0, 1):
        bucket = two.use(at).requests
        assert bucket is not None and bucket.available(two.clock.now()) == pytest.approx(5.0)


async def test_together_they_let_in_no_more_than_the_limit_and_what_they_had_not_heard() -> None:
    two, let_in = Two(requests_per_min=6), 0
    for at in (0, 1) * 10:
        try:
            await leave(await two.enter(at))
            let_in += 1
        except QuotaExceeded:
            continue
        if let_in % 4 == 0:
            await two.meet()
    # At most three had not been heard of when the last was let in.
    assert 6 <= let_in <= 6 + 3


async def test_what_is_used_in_the_end_is_told_as_well() -> None:
    two = Two(tokens_per_min=1000)
    identity = await two.rigs[0].access.identify(f"Bearer {secret('team-a')}")
    permit = two.rigs[0].quotas.enter(identity, 100, RequestUse(1, 700))
    await leave(await two.enter(1, 1))
    await two.meet()
    tokens = two.use(1).tokens
    assert tokens is not None and tokens.available(two.clock.now()) == pytest.approx(899.0)
    await leave(permit)
    await two.meet()
    assert tokens.available(two.clock.now()) == pytest.approx(299.0)


async def test_requests_in_flight_are_counted_over_both() -> None:
    two = Two(in_flight=3)
    first = [await two.enter(0) for _ in range(2)]
    await leave(await two.enter(1))
    await two.meet()
    await two.enter(1)
    with pytest.raises(QuotaExceeded):
        await two.enter(1)
    for permit in first:
        await leave(permit)
    await two.meet()
    await two.enter(1)


@pytest.mark.parametrize("value", [b"\xa8\x01", b"\x81\xa1\xff\x01", b"\x91" * 5000 + b"\xc0", b""])
async def test_what_a_replica_of_another_version_says_is_passed_over(value: bytes) -> None:
    two = Two(in_flight=3)
    odd = Hold(kind=IN_FLIGHT, name="odd", holder="odd", value=value, ttl_s=60.0)
    await two.store.run(odd)
    for _ in range(2):
        await two.enter(0)
    await two.meet()
    assert two.use(0).others_in_flight == 0
    await two.enter(1)
    await two.meet()
    assert two.use(1).others_in_flight == 2


async def test_while_the_store_is_lost_each_goes_on_and_tells_afterwards() -> None:
    two = Two(requests_per_min=10)
    two.store.lost = True
    for at in (0, 0, 0, 1, 1):
        await leave(await two.enter(at))
    with pytest.raises(StateLost):
        await two.sharing[0].turn()
    two.store.lost = False
    await two.meet()
    bucket = two.use(0).requests
    assert bucket is not None and bucket.available(two.clock.now()) == pytest.approx(5.0)


async def test_a_key_is_let_in_again_when_others_have_long_ended() -> None:
    two = Two(in_flight=1)
    elsewhere = await two.enter(1)
    with pytest.raises(QuotaExceeded):
        await two.meet_and_enter(0)
    await two.meet_for(80)
    with pytest.raises(QuotaExceeded):
        await two.enter(0)
    await leave(elsewhere)
    await two.meet_for(80)
    await two.enter(0)


async def test_what_others_had_in_flight_is_forgotten_while_the_store_is_lost() -> None:
    two = Two(in_flight=1)
    await two.enter(1)
    with pytest.raises(QuotaExceeded):
        await two.meet_and_enter(0)
    two.store.lost = True
    two.clock.time += 6
    with pytest.raises(StateLost):
        await two.sharing[0].turn()
    await two.enter(0)


async def test_keys_that_nobody_uses_cost_no_round_trip() -> None:
    two = Two(requests_per_min=10, in_flight=5)
    await two.sharing[0].turn()
    assert two.store.trips == 0
    await leave(await two.enter(0))
    await two.sharing[0].turn()
    assert two.store.trips == 2
    two.clock.time += 61
    await two.sharing[0].turn()
    assert two.store.trips == 2
