"""Devices that work for replicas they are not connected to: real gateways, a real Redis."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.core.devices.member import WorkPiece
from gateway.protocol.device_link import work
from tests.integration.devices.asking_gateway import asking_gateway, failure, known, order, whole
from tests.integration.devices.two_gateways import Gateways, gateways
from tests.integration.member import (
    answers,
    floods,
    member,
    refuses,
    registration,
    stalls,
    vanishes,
)
from tests.redis_server import needs_redis
from tests.servers import start

pytestmark = [pytest.mark.integration, pytest.mark.redis, pytest.mark.anyio, needs_redis]

WATCH = "token-of-the-watch"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateways]:
    limits = {"lease_s": 3, "heartbeat_s": 1, "max_answer_bytes": 65536}
    with gateways(tmp_path_factory.mktemp("members"), **limits) as found:
        yield found


async def test_answers_stream_from_devices_at_both_gateways(both: Gateways) -> None:
    async with (
        asking_gateway(both.redis.url) as members,
        member(both[0].url, answers("It is ", "7")),
        member(both[1].url, answers("Seven", pause_s=0.05), WATCH),
    ):
        await known(members, "phone", "watch")
        assignments = [members.assign(device, order()) for device in ("phone", "watch")]
        assert [await whole(each) for each in assignments] == ["It is 7", "Seven"]
        phone = next(m for m in members.members() if m.id == "phone")
        assert (phone.owner, phone.description, phone.max_work) == ("ann", "knows sums", 4)


async def test_a_refusal_a_stall_and_a_cancellation(both: Gateways) -> None:
    async with (
        asking_gateway(both.redis.url) as members,
        member(both[0].url, refuses("battery")) as phone,
    ):
        await known(members, "phone")
        assert await failure(members.assign("phone", order())) == "battery"
        phone.behaviour = stalls("It")
        assert await failure(members.assign("phone", order(deadline_s=0.5))) == "deadline"
        await phone.until(lambda m: m.recalled == [2])
        assignment = members.assign("phone", order())
        await assignment.read()
        assignment.cancel()
        await phone.until(lambda m: m.recalled == [2, 3])
        assert phone.errors == []
    assert both[0].metric("tierflow_device_work_refusals_total", code="battery") >= 1


async def test_one_that_sends_megabytes_is_cut_off_counted_and_sent_away(both: Gateways) -> None:
    counted = both[0].metric("tierflow_device_frame_errors_total", code="answer_too_long")
    async with (
        asking_gateway(both.redis.url) as members,
        member(both[0].url, floods(times=400)) as liar,
        member(both[0].url, answers("7"), WATCH),
    ):
        await known(members, "phone", "watch")
        assignment = members.assign("phone", order())
        assert await failure(assignment) == "misbehaved"
        await liar.until(lambda m: m.closed is not None)
        assert liar.closed == "too_many_errors"
        assert await whole(members.assign("watch", order())) == "7"
    after = both[0].metric("tierflow_device_frame_errors_total", code="answer_too_long")
    assert after == counted + 1


async def test_one_that_vanishes_is_gone_at_once(both: Gateways) -> None:
    async with (
        asking_gateway(both.redis.url) as members,
        member(both[0].url, vanishes("It is")),
    ):
        await known(members, "phone")
        assert await failure(members.assign("phone", order())) == "lost"
        await known(members)
    assert both[0].metric("tierflow_devices_registered") == 0


async def test_one_that_falls_silent_leaves_within_its_lease(both: Gateways) -> None:
    async with (
        asking_gateway(both.redis.url) as members,
        member(both[0].url, stalls()) as phone,
    ):
        await known(members, "phone")
        assignment = members.assign("phone", order())
        phone.silent = True
        assert await failure(assignment) == "lost"
        await known(members)


async def test_another_process_with_the_token_is_refused_at_either_gateway(both: Gateways) -> None:
    async with (
        asking_gateway(both.redis.url) as members,
        member(both[0].url, answers("7")) as phone,
    ):
        await known(members, "phone")
        for gateway in both.each:
            async with member(gateway.url, answers("8")) as thief:
                assert (thief.closed, thief.errors) == ("duplicate_device", ["duplicate_device"])
        assert await whole(members.assign("phone", order())) == "7"
        assert phone.closed is None


async def test_the_same_process_may_come_back_at_the_other_gateway(both: Gateways) -> None:
    mine = registration()
    async with (
        asking_gateway(both.redis.url) as members,
        member(both[0].url, answers("7"), register=mine) as before,
    ):
        await known(members, "phone")
        first = members.members()[0].replica
        async with member(both[1].url, answers("8"), register=mine) as after:
            assert after.registered is not None
            await before.until(lambda m: m.closed == "replaced")
            async with asyncio.timeout(20):
                while members.members()[0].replica == first:
                    await asyncio.sleep(0.02)
            assert await whole(members.assign("phone", order())) == "8"


async def test_an_asker_that_is_killed_has_its_work_recalled(
    both: Gateways, tmp_path: Path
) -> None:
    async with member(both[0].url, stalls("It")) as phone:
        command = [
            sys.executable,
            "-m",
            "tests.integration.devices.asking_gateway",
            both.redis.url,
            "phone",
        ]
        asking = start("asking_gateway", command, tmp_path, "")
        await phone.until(lambda m: m.works)
        asking.kill()
        await phone.until(lambda m: m.recalled == [1])
        assert phone.closed is None


async def test_a_gateway_that_is_killed_fails_its_work_and_its_devices_come_back_elsewhere(
    tmp_path: Path,
) -> None:
    with gateways(tmp_path, lease_s=4, heartbeat_s=1) as both:
        mine = registration()
        async with asking_gateway(both.redis.url) as members:
            async with member(both[0].url, stalls("It is"), register=mine) as phone:
                await known(members, "phone")
                first = members.members()[0].replica
                assignment = members.assign("phone", order())
                await assignment.read()
                both[0].kill()
                assert await failure(assignment) == "lost"
                await phone.until(lambda m: m.closed is not None)
            # Its lease still stands: the same process may come back, no other may.
            async with member(both[1].url, answers("8"), register=mine) as back:
                assert back.registered is not None
                async with asyncio.timeout(20):
                    while [one.replica for one in members.members()] in ([], [first]):
                        await asyncio.sleep(0.02)
                assert await whole(members.assign("phone", order())) == "8"


async def test_after_a_killed_gateway_a_new_process_waits_for_the_lease(tmp_path: Path) -> None:
    with gateways(tmp_path, lease_s=4, heartbeat_s=1) as both:
        async with member(both[0].url, answers("7")):
            both[0].kill()
        closed = []
        async with asyncio.timeout(20):
            while True:
                async with member(both[1].url, answers("8")) as newcomer:
                    if newcomer.registered is not None:
                        break
                    closed.append(newcomer.closed)
                await asyncio.sleep(0.2)
        assert set(closed) == {"duplicate_device"}


async def test_without_redis_devices_stay_and_are_seen_again_when_it_is_back(
    tmp_path: Path,
) -> None:
    with gateways(tmp_path, 1, lease_s=3, heartbeat_s=1) as one:
        async with member(one[0].url, answers("7")) as phone:
            one.redis.kill()
            await phone.state(hot=True)
            async with member(one[0].url, answers("8"), WATCH) as watch:
                assert watch.registered == work.Registered("watch", 4)
                one.redis.start()
                async with asking_gateway(one.redis.url) as members:
                    await known(members, "phone", "watch")
                    assert await whole(members.assign("phone", order())) == "7"
                assert phone.closed is None


async def test_a_gateway_told_to_stop_lets_work_end_before_its_devices_go(tmp_path: Path) -> None:
    with gateways(tmp_path) as both:
        async with (
            asking_gateway(both.redis.url) as members,
            member(both[0].url, answers("It ", "is ", "7", pause_s=0.3)) as phone,
        ):
            await known(members, "phone")
            assignment = members.assign("phone", order())
            first = await assignment.read()
            assert isinstance(first, WorkPiece)
            both[0].process.send_signal(signal.SIGTERM)
            assert first.text + await whole(assignment) == "It is 7"
            await phone.until(lambda m: m.closed is not None)
        assert await asyncio.to_thread(both[0].process.wait, 20) == -signal.SIGTERM
