"""From a one-time token to a device's own."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

import pytest

from gateway.core.access.key import token_digest
from gateway.core.devices.grant import Grant
from gateway.core.state.operations import Held, Operation, Read
from gateway.errors import (
    Conflict,
    Denied,
    GatewayError,
    InvalidRequest,
    StateLost,
)
from gateway.serving.devices.enrolment_records import ENROLMENTS, TOKENS
from gateway.serving.devices.token_attempts import AT_ONCE
from tests.unit.gateway.serving.devices.enrolment_rig import EVERY, enrolled, minted
from tests.unit.gateway.serving.devices.replica_rig import Replica, device, replicas

pytestmark = pytest.mark.anyio

ATTEMPT = "drawn-by-the-device"


async def test_a_device_is_found_by_its_own_token_at_every_replica() -> None:
    async with replicas(2) as (here, there):
        own = await enrolled(here, "phone", "ann")
        grant = await there.tokens.find(f"Bearer {own}")
        assert grant == Grant(device="phone", owner="ann", privacy=EVERY, digest=token_digest(own))
        assert await there.tokens.device_of(f"Bearer {own}") == grant
        assert await there.tokens.find(f"Bearer {own}x") is None
        assert await there.tokens.find(f"Basic {own}") is None


async def test_the_settings_tokens_are_found_without_the_store() -> None:
    async with replicas(1) as (here,):
        here.store.lost = True
        assert await here.tokens.find("Bearer of-the-kitchen") == Grant(device="kitchen")
        assert await here.tokens.find("Bearer something-else") is None
        assert await here.tokens.device_of("Bearer of-the-kitchen") == Grant(device="kitchen")


async def test_only_hashes_are_stored() -> None:
    async with replicas(1) as (here,):
        token = await minted(here, "phone")
        _, own = await here.enrolments.exchange(token, "", "1.2.3.4")
        held, record = await here.store.run(Held("enrolled"), Read(TOKENS, token_digest(own)))
        for stored in (*held.values(), record[1]):
            assert own.encode() not in stored and token.encode() not in stored


async def test_of_many_that_use_a_token_at_once_one_alone_is_enrolled() -> None:
    async with replicas(2) as both:
        token = await minted(both[0])
        results = await asyncio.gather(
            *(
                both[n % 2].enrolments.exchange(token, f"device-{n}", f"1.1.1.{n}")
                for n in range(12)
            ),
            return_exceptions=True,
        )
        winners = [result for result in results if isinstance(result, tuple)]
        assert len(winners) == 1
        assert all(isinstance(r, Denied) for r in results if not isinstance(r, tuple))
        assert list(await both[1].enrolments.enrolled()) == [winners[0][0].device]


async def test_of_many_that_want_a_name_one_alone_has_it_and_the_others_may_choose_again() -> None:
    async with replicas(1) as (here,):
        tokens = [await minted(here) for _ in range(6)]
        results = await asyncio.gather(
            *(here.enrolments.exchange(token, "phone", "1.1.1.1") for token in tokens),
            return_exceptions=True,
        )
        losers = [t for t, r in zip(tokens, results, strict=True) if isinstance(r, Conflict)]
        assert len(losers) == 5
        record, _ = await here.enrolments.exchange(losers[0], "watch", "1.1.1.1")
        assert record.device == "watch"


async def test_a_used_an_expired_and_an_unknown_token_are_refused_alike() -> None:
    async with replicas(1) as (here,):
        used, expired = await minted(here), await minted(here, ttl_s=0.01)
        await here.enrolments.exchange(used, "phone", "1.1.1.1")
        await asyncio.wait_for(_expires(here, expired), 5)
        errors = set()
        for token in (used, expired, "tfe_guess"):
            with pytest.raises(Denied) as caught:
                await here.enrolments.exchange(token, "watch", "1.1.1.1")
            errors.add((caught.value.message, caught.value.code))
        assert len(errors) == 1


def tears(run: int, what: str) -> Callable[[tuple[Operation, ...]], str]:
    """Of that run from now on, and of no other."""
    runs = itertools.count()
    return lambda operations: what if next(runs) == run else ""


@pytest.mark.parametrize("what", ["request", "answer"])
@pytest.mark.parametrize("run", range(3))
async def test_an_exchange_that_was_torn_can_be_repeated(run: int, what: str) -> None:
    async with replicas(1) as (here,):
        token = await minted(here, "phone", "ann")
        here.store.tears = tears(run, what)
        with pytest.raises(StateLost):
            await here.enrolments.exchange(token, "", "1.1.1.1", ATTEMPT)
        record, own = await here.enrolments.exchange(token, "", "1.1.1.1", ATTEMPT)
        grant = await here.tokens.find(f"Bearer {own}")
        assert grant == Grant(device="phone", owner="ann", privacy=EVERY, digest=record.digest)
        assert await here.enrolments.enrolled() == {"phone": record}


@pytest.mark.parametrize("what", ["request", "answer"])
async def test_a_device_is_enrolled_once_its_token_is_good(what: str) -> None:
    async with replicas(1) as (here,):
        token = await minted(here, "phone")
        here.store.tears = tears(3, what)
        record, own = await here.enrolments.exchange(token, "", "1.1.1.1")
        assert await here.tokens.find(f"Bearer {own}") == Grant(
            device="phone", owner="", privacy=EVERY, digest=record.digest
        )
        assert await here.enrolments.enrolled() == {"phone": record}


async def test_a_repeated_exchange_replaces_the_first_token_everywhere() -> None:
    async with replicas(2) as (here, there):
        token = await minted(here)
        _, first = await here.enrolments.exchange(token, "phone", "1.1.1.1", ATTEMPT)
        assert await there.tokens.device_of(f"Bearer {first}") is not None
        record, second = await here.enrolments.exchange(token, "phone", "1.1.1.1", ATTEMPT)
        assert await there.tokens.find(f"Bearer {first}") is None
        assert await there.tokens.find(f"Bearer {second}") is not None
        assert await here.enrolments.enrolled() == {"phone": record}


async def test_of_many_exchanges_for_one_name_one_token_alone_is_good() -> None:
    async with replicas(2) as both:
        token = await minted(both[0], "phone")
        results = await asyncio.gather(
            *(both[n % 2].enrolments.exchange(token, "", f"1.1.1.{n}", ATTEMPT) for n in range(12)),
            return_exceptions=True,
        )
        given = [result for result in results if isinstance(result, tuple)]
        good = [record for record, own in given if await both[0].tokens.find(f"Bearer {own}")]
        assert await both[1].enrolments.enrolled() == {"phone": good[0]}
        assert len(good) == 1


@pytest.mark.parametrize("attempt", ["", "drawn-by-another-one"])
async def test_an_exchange_is_repeated_for_the_device_alone_that_made_it(attempt: str) -> None:
    async with replicas(1) as (here,):
        token = await minted(here, "phone")
        record, own = await here.enrolments.exchange(token, "", "1.1.1.1", ATTEMPT)
        with pytest.raises(Denied):
            await here.enrolments.exchange(token, "phone", "1.1.1.1", attempt)
        assert await here.tokens.find(f"Bearer {own}") is not None
        assert await here.enrolments.enrolled() == {"phone": record}


async def test_an_exchange_is_not_repeated_once_its_device_has_connected() -> None:
    async with replicas(1) as (here,):
        token = await minted(here, "phone")
        _, own = await here.enrolments.exchange(token, "", "1.1.1.1", ATTEMPT)
        await device(here, None, await here.tokens.find(f"Bearer {own}"))
        await here.watch.turn()
        with pytest.raises(Denied):
            await here.enrolments.exchange(token, "", "1.1.1.1", ATTEMPT)
        assert await here.tokens.find(f"Bearer {own}") is not None


async def test_an_exchange_is_not_repeated_once_its_device_was_revoked() -> None:
    async with replicas(1) as (here,):
        token = await minted(here, "phone")
        await here.enrolments.exchange(token, "", "1.1.1.1", ATTEMPT)
        await here.enrolments.revoke("phone")
        with pytest.raises(Denied):
            await here.enrolments.exchange(token, "", "1.1.1.1", ATTEMPT)
        assert await here.enrolments.enrolled() == {}


async def _expires(here: Replica, token: str) -> None:
    while (await here.store.run(Read(ENROLMENTS, token_digest(token))))[0][1] is not None:
        await asyncio.sleep(0.01)


async def test_an_address_that_guesses_too_often_is_barred_but_a_good_token_is_not() -> None:
    async with replicas(1) as (here,):
        behind_the_same_proxy = await minted(here)
        codes = []
        for _ in range(int(AT_ONCE) + 3):
            with pytest.raises(GatewayError) as caught:
                await here.enrolments.exchange("tfe_guess", "", "6.6.6.6")
            codes.append(caught.value.code)
        assert codes[: int(AT_ONCE)] == ["invalid_enrolment_token"] * int(AT_ONCE)
        assert set(codes[int(AT_ONCE) :]) == {"too_many_attempts"}
        with pytest.raises(Denied):
            await here.enrolments.exchange("tfe_guess", "", "1.2.3.4")
        await here.enrolments.exchange(behind_the_same_proxy, "phone", "6.6.6.6")
        assert "phone" in await here.enrolments.enrolled()


@pytest.mark.parametrize("at", ["mint", "exchange"])
async def test_names_that_are_taken_are_refused(at: str) -> None:
    async with replicas(1) as (here,):
        await enrolled(here, "phone")
        for name in ("phone", "kitchen"):
            with pytest.raises(Conflict):
                if at == "mint":
                    await minted(here, name)
                else:
                    await here.enrolments.exchange(await minted(here), name, "1.1.1.1")


async def test_the_operators_name_stands() -> None:
    async with replicas(1) as (here,):
        token = await minted(here, "phone")
        with pytest.raises(InvalidRequest, match="name"):
            await here.enrolments.exchange(token, "watch", "1.1.1.1")
        assert (await here.enrolments.exchange(token, "phone", "1.1.1.1"))[0].device == "phone"


async def test_a_name_is_made_up_where_nobody_chose_one() -> None:
    async with replicas(1) as (here,):
        first, second = [await enrolled(here, "") for _ in range(2)]
        assert first != second
        assert len(await here.enrolments.enrolled()) == 2


async def test_a_device_that_is_enrolled_anew_by_a_name_is_another_caller() -> None:
    async with replicas(1) as (here,):
        callers = []
        for _ in range(2):
            grant = await here.tokens.find(f"Bearer {await enrolled(here, 'phone')}")
            assert grant is not None
            callers.append(grant.identity)
            await here.enrolments.revoke("phone")
        first, second = callers
        assert first.id == second.id and first.owner != second.owner


async def test_a_device_that_connects_stays_enrolled() -> None:
    async with replicas(1) as (here,):
        own = await enrolled(here, "phone")
        phone = await device(here, None, await here.tokens.find(f"Bearer {own}"))
        before = (await here.store.run(Read(TOKENS, token_digest(own))))[0]
        await here.watch.turn()
        after = (await here.store.run(Read(TOKENS, token_digest(own))))[0]
        assert after == (before[0] + 1, before[1])
        await here.watch.turn()
        assert (await here.store.run(Read(TOKENS, token_digest(own))))[0] == after
        assert not phone.task.done()
