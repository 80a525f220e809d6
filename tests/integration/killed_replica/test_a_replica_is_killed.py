"""One of two gateways is killed with requests of every kind under way at both."""

from __future__ import annotations

import asyncio

import pytest

from tests.integration.collective.conftest import listed
from tests.integration.killed_replica.client_requests import collective, requests
from tests.integration.killed_replica.conftest import DEVICES, ReplicaPair
from tests.integration.killed_replica.engines_and_devices import NUMBERS
from tests.redis_server import needs_redis

pytestmark = [pytest.mark.integration, pytest.mark.redis, pytest.mark.anyio, needs_redis]


async def all_under_way(pair: ReplicaPair) -> None:
    """The edge is amid plain requests and cascades, each device has work for each collective."""
    async with asyncio.timeout(30):
        while pair.small.held < 2 * len(NUMBERS) or any(
            device.orders < len(NUMBERS) for device in pair.devices
        ):
            await asyncio.sleep(0.02)


async def test_what_was_under_way_at_a_killed_replica_is_answered_right_by_the_other(
    pair: ReplicaPair,
) -> None:
    made = requests()
    asking = [asyncio.create_task(request.answer(pair.client)) for request in made]
    await all_under_way(pair)
    assert not any(task.done() for task in asking)
    shares = [gateway.metric("tierflow_in_flight_requests") for gateway in pair.both.each]
    assert min(shares) >= len(made) // 3, "both are busy"
    await asyncio.to_thread(pair.one.kill)
    pair.let_go()
    ids = await asyncio.gather(*asking)
    # What has an idempotency key was answered once, whoever did it.
    keyed = [n for n, request in enumerate(made) if "extra_headers" in request.more]
    again = await asyncio.gather(*[made[n].answer(pair.client) for n in keyed])
    assert again == [ids[n] for n in keyed]
    # Before the devices are back or after it, the other answers everything.
    await asyncio.gather(*[request.answer(pair.client) for request in requests()])


async def test_devices_of_a_killed_replica_come_back_at_the_other_and_answer(
    pair: ReplicaPair,
) -> None:
    before: dict[str, str] = {}
    await listed(pair.other, lambda seen: bool(before.update(seen)) or len(before) == 4)
    mine = before["code"]
    assert [before[name] == mine for name in DEVICES] == [False, True, False, True]
    asking = [asyncio.create_task(collective(n).answer(pair.client)) for n in NUMBERS]
    async with asyncio.timeout(30):
        while any(device.orders < len(NUMBERS) for device in pair.devices):
            await asyncio.sleep(0.02)
    await asyncio.to_thread(pair.one.kill)
    pair.let_go()
    await asyncio.gather(*asking)
    await listed(pair.other, lambda seen: seen == dict.fromkeys(DEVICES, mine))
    answer = await pair.client.chat.completions.create(**collective(NUMBERS[0], quorum=4).body)
    members = answer.model_extra["tierflow"]["collective"]["members"]
    assert {m["device"]: m["outcome"] for m in members} == dict.fromkeys(DEVICES, "answered")
