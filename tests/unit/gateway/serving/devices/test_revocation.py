"""A device whose token is revoked or lost is gone everywhere, and its name is free."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.adapters.clock import MonotonicClock
from gateway.core.access.key import token_digest
from gateway.core.devices.grant import Grant
from gateway.core.state.operations import Advance, Forget, Hold, Operation, Read
from gateway.errors import (
    Conflict,
    Denied,
    UnknownDevice,
)
from gateway.protocol.device_link import speculation as wire
from gateway.serving.devices.enrolment import Enrolments
from gateway.serving.devices.enrolment_records import KEPT_S, TOKENS
from gateway.serving.devices.replicas.outbox import ReplicaOutbox
from gateway.serving.devices.token_attempts import TokenAttempts
from gateway.serving.devices.tokens import DeviceTokens
from tests.unit.gateway.serving.devices.device_rig import until
from tests.unit.gateway.serving.devices.enrolment_rig import enrolled, minted
from tests.unit.gateway.serving.devices.replica_rig import Replica, device, replicas

pytestmark = pytest.mark.anyio


async def test_a_revoked_device_is_gone_everywhere_and_its_name_is_free() -> None:
    async with replicas(2) as (here, there):
        own = await enrolled(here, "phone")
        grant = await there.tokens.find(f"Bearer {own}")
        assert grant is not None
        await there.tokens.device_of(f"Bearer {own}")
        phone = await device(there, None, grant)
        await here.enrolments.revoke("phone")
        await phone.task
        assert phone.link.closed == (1008, "revoked")
        assert await there.tokens.find(f"Bearer {own}") is None
        assert await there.tokens.device_of(f"Bearer {own}") is None
        await until(lambda: not here.names())
        assert await enrolled(there, "phone") != own


async def test_a_revocation_that_was_not_heard_is_found() -> None:
    async with replicas(2) as (here, there):
        own = await enrolled(here, "phone")
        phone = await device(there, None, await there.tokens.find(f"Bearer {own}"))
        here.store.loses = lambda channel: channel == "devices"
        await here.enrolments.revoke("phone")
        await there.watch.turn()
        await phone.task
        assert phone.link.closed == (1008, "revoked")


async def test_a_device_whose_token_the_store_has_lost_is_told_to_enrol_again() -> None:
    async with replicas(1) as (here,):
        own = await enrolled(here, "phone")
        phone = await device(here, None, await here.tokens.find(f"Bearer {own}"))
        ((_, record),) = await here.store.run(Read(TOKENS, token_digest(own)))
        await here.store.run(Forget(TOKENS, token_digest(own)))
        await here.watch.turn()
        await here.store.run(
            Advance(kind=TOKENS, name=token_digest(own), expected=0, value=record, ttl_s=60.0)
        )
        await here.watch.turn()
        assert not phone.task.done(), "it is back"
        await here.store.run(Forget(TOKENS, token_digest(own)))
        for _ in range(2):
            await here.watch.turn()
        await phone.task
        assert phone.link.closed == (1008, "unknown_token")
        (error,) = phone.link.of(wire.Error)
        assert "enrol the device again" in error.message


@pytest.mark.parametrize(
    ("authorization", "code", "words"),
    [
        ("", "invalid_device_token", "connect with"),
        ("Basic tfd_x", "invalid_device_token", "connect with"),
        ("Bearer something-else", "invalid_device_token", "no device's"),
        ("Bearer tfd_made-up", "unknown_device_token", "enrol the device again"),
        ("Bearer {own}", "revoked_device_token", "has been revoked"),
    ],
)
async def test_a_token_that_opens_nothing_is_told_why(
    authorization: str, code: str, words: str
) -> None:
    async with replicas(1) as (here,):
        own = await enrolled(here, "phone")
        await here.enrolments.revoke("phone")
        refusal = await here.tokens.refusal(authorization.format(own=own))
        assert refusal.code == code and words in refusal.message
        assert own not in refusal.message


async def test_only_enrolled_devices_can_be_revoked() -> None:
    async with replicas(1) as (here,):
        with pytest.raises(Conflict, match="settings"):
            await here.enrolments.revoke("kitchen")
        with pytest.raises(UnknownDevice):
            await here.enrolments.revoke("nobody")


async def test_an_enrolled_token_can_be_revoked_after_the_settings_got_one_of_its_name() -> None:
    async with replicas(1) as (here,):
        own = await enrolled(here, "phone")
        clock, replica_outbox = MonotonicClock(), ReplicaOutbox(here.store)
        attempts = TokenAttempts(here.store, clock)
        tokens = DeviceTokens(
            tokens={"phone": token_digest("of-the-phone")},
            owners={},
            store=here.store,
            clock=clock,
            attempts=attempts,
        )
        later = Enrolments(
            store=here.store,
            tokens=tokens,
            replica_outbox=replica_outbox,
            attempts=attempts,
            unix_time=lambda: 1e9,
        )
        assert await tokens.find(f"Bearer {own}") is not None
        await later.revoke("phone")
        assert await tokens.find(f"Bearer {own}") is None
        assert await tokens.find("Bearer of-the-phone") == Grant(device="phone")


def revokes(by: Replica) -> Callable[[tuple[Operation, ...]], Any]:
    """Before the name is held for as long as the device is enrolled."""

    async def meanwhile(operations: tuple[Operation, ...]) -> None:
        if any(isinstance(each, Hold) and each.ttl_s == KEPT_S for each in operations):
            await by.enrolments.revoke("phone")

    return meanwhile


async def test_a_name_is_free_when_the_device_is_revoked_while_its_record_is_renewed() -> None:
    async with replicas(2) as (here, there):
        own = await enrolled(here, "phone")
        await device(here, None, await here.tokens.find(f"Bearer {own}"))
        here.store.meanwhile = revokes(there)
        await here.watch.turn()
        here.store.meanwhile = None
        assert await here.enrolments.enrolled() == {}
        assert await enrolled(there, "phone") != own


async def test_a_device_that_is_revoked_during_its_exchange_leaves_its_name_free() -> None:
    async with replicas(2) as (here, there):
        token = await minted(here, "phone")
        here.store.meanwhile = revokes(there)
        with pytest.raises(Denied):
            await here.enrolments.exchange(token, "", "1.1.1.1")
        here.store.meanwhile = None
        assert await here.enrolments.enrolled() == {}
