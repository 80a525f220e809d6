"""Work for devices that are connected to the replica that asks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.core.devices.grant import Grant
from gateway.protocol.device_link import work
from gateway.serving.devices.work import LATE_BYTES
from tests.unit.gateway.serving.devices.device_rig import until
from tests.unit.gateway.serving.devices.replica_rig import (
    device,
    failure,
    order,
    registration,
    replicas,
    whole,
)

pytestmark = pytest.mark.anyio


async def test_an_answer_comes_in_pieces_and_ends() -> None:
    async with replicas(1) as (here,):
        phone = await device(here)
        assignment = here.members.assign("phone", order(sampling={"temperature": 0.5}))
        given = await phone.work()
        assert (given.kind, given.messages[0]["content"]) == ("generate", "3 + 4?")
        assert (given.sampling.max_tokens, given.sampling.temperature) == (64, 0.5)
        phone.put(work.Piece(given.w, "It is ", 2), work.Piece(given.w, "7", 1))
        phone.put(
            work.Finished(
                w=given.w, reason="stop", prompt_tokens=5, completion_tokens=3, logprob=-0.25
            )
        )
        text, end = await whole(assignment)
        assert text == "It is 7"
        assert (end.reason, end.prompt_tokens, end.completion_tokens) == ("stop", 5, 3)
        assert end.logprob == -0.25
        assert here.telemetry.worked == [("generate", "stop")]


@pytest.mark.parametrize("code", ["busy", "hot", "battery", "unable", "too_long", "deadline"])
async def test_a_refusal_reaches_the_asker_with_its_code_but_not_its_message(code: str) -> None:
    async with replicas(1) as (here,):
        phone = await device(here)
        assignment = here.members.assign("phone", order())
        given = await phone.work()
        phone.put(work.Refused(w=given.w, code=code, message="3 + 4? No.", retry_s=7.0))  # type: ignore[arg-type]
        assert await failure(assignment) == code
        assert here.telemetry.refusals[code] == 1
        assert phone.recalled() == []


async def test_a_device_has_no_more_work_at_once_than_it_takes() -> None:
    async with replicas(1) as (here,):
        phone = await device(here)
        first, second, third = (here.members.assign("phone", order()) for _ in range(3))
        assert await failure(third) == "busy"
        (member,) = here.members.members()
        assert member.condition.working == 2
        await phone.work(2)
        first.cancel()
        assert await failure(first) == "cancelled"
        fourth = here.members.assign("phone", order())
        await phone.work(3)
        assert phone.recalled() == [1]
        second.cancel()
        fourth.cancel()


async def test_a_device_is_given_no_more_at_once_than_the_settings_allow() -> None:
    async with replicas(1, limits={"max_work": 1}) as (here,):
        phone = await device(here)
        assert phone.link.of(work.Registered)[0].max_work == 1


@pytest.mark.parametrize(
    "flood",
    [
        [work.Piece(1, "x" * 60_000, 1)],
        [work.Piece(1, "", 0)] * 300,
        [work.Piece(1, "a", 100)],
        [work.Finished(w=1, reason="stop", prompt_tokens=1, completion_tokens=1000)],
    ],
    ids=["text", "empty pieces", "tokens", "usage"],
)
async def test_more_than_was_asked_for_is_cut_off_and_counted(flood: list[work.Piece]) -> None:
    async with replicas(1, limits={"max_answer_bytes": 4096}) as (here,):
        phone = await device(here)
        assignment = here.members.assign("phone", order())
        await phone.work()
        phone.put(*flood)
        assert await failure(assignment) == "misbehaved"
        await until(lambda: "answer_too_long" in phone.errors())
        assert phone.recalled() == [1]


async def test_frames_under_way_when_work_is_recalled_are_tolerated_up_to_a_megabyte() -> None:
    async with replicas(1) as (here,):
        phone = await device(here)
        assignment = here.members.assign("phone", order())
        await phone.work()
        assignment.cancel()
        phone.put(
            work.Piece(1, "late", 1),
            work.Finished(w=1, reason="stop", prompt_tokens=1, completion_tokens=1),
        )
        phone.put(work.State(work.Condition(hot=True)))
        await until(lambda: here.members.members()[0].condition.hot)
        assert phone.errors() == []
        for _ in range(2 * LATE_BYTES // 60_000):
            phone.put(work.Piece(1, "x" * 60_000, 1))
        await until(lambda: "work_over" in phone.errors())


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (work.Piece(1, "more", 1), "work_over"),
        (work.Finished(w=1, reason="stop", prompt_tokens=1, completion_tokens=1), "work_over"),
        (work.Piece(77, "x", 1), "unknown_work"),
        (work.Refused(w=0, code="busy"), "unknown_work"),
        (registration("another-instance"), "instance_changed"),
    ],
)
async def test_frames_that_break_the_protocol_are_answered_and_change_nothing(
    frame: work.FromDevice, code: str
) -> None:
    async with replicas(1) as (here,):
        phone = await device(here)
        assignment = here.members.assign("phone", order())
        await phone.work()
        phone.put(
            work.Piece(1, "7", 1),
            work.Finished(w=1, reason="stop", prompt_tokens=1, completion_tokens=1),
            frame,
        )
        assert (await whole(assignment))[0] == "7"
        await until(lambda: phone.errors() == [code])
        assert here.names() == {"phone"}


async def test_the_gateway_keeps_the_deadline_itself() -> None:
    async with replicas(1) as (here,):
        phone = await device(here)
        assignment = here.members.assign("phone", order(deadline_s=0.05))
        assert await failure(assignment) == "deadline"
        await until(lambda: phone.recalled() == [1])


async def test_a_lost_connection_fails_all_its_work_at_once() -> None:
    async with replicas(1) as (here,):
        phone = await device(here)
        both = [here.members.assign("phone", order()) for _ in range(2)]
        await phone.work(2)
        await phone.leave()
        assert [await failure(assignment) for assignment in both] == ["lost", "lost"]
        assert here.names() == set()
        assert await failure(here.members.assign("phone", order())) == "unknown"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"max_tokens": 0}, "unable"),
        ({"deadline_s": 0.0}, "deadline"),
        ({"messages": [{"role": "user", "content": "x" * 300_000}]}, "too_long"),
        ({"messages": []}, "unable"),
        ({"messages": [{"role": "user", "content": "x"}] * 65}, "too_long"),
        ({"sampling": {"temperature": 9.0}}, "unable"),
        ({"messages": [{"role": "user", "content": object()}]}, "unable"),
    ],
)
async def test_work_that_no_device_could_do_fails_at_once(
    fields: dict[str, object], code: str
) -> None:
    async with replicas(1) as (here,):
        await device(here)
        assert await failure(here.members.assign("phone", order(**fields))) == code


@pytest.mark.parametrize(
    ("privacy", "owner", "takes"),
    [
        ("public", "", True),
        ("owner", "ann", True),
        ("owner", "bob", False),
        ("owner", "", False),
        ("private", "ann", False),
    ],
)
async def test_a_device_answers_whom_its_privacy_class_allows(
    privacy: str, owner: str, takes: bool
) -> None:
    async with replicas(2) as (here, there):
        phone = await device(
            here, registration(privacy=privacy), Grant(device="phone", owner="ann")
        )
        await until(lambda: there.names() == {"phone"})
        for replica in (here, there):
            assignment = replica.members.assign("phone", order(owner=owner))
            if takes:
                await phone.work(len(phone.works()) + 1)
                assignment.cancel()
            else:
                assert await failure(assignment) == "private"


async def test_work_of_a_kind_that_was_not_offered_is_not_given() -> None:
    async with replicas(1) as (here,):
        await device(here, registration(abilities=["generate"]))
        assert await failure(here.members.assign("phone", order(kind="revise"))) == "unable"


async def test_pieces_that_nobody_reads_are_joined() -> None:
    async with replicas(1) as (here,):
        phone = await device(here)
        assignment = here.members.assign("phone", order())
        await phone.work()
        phone.put(*(work.Piece(1, "a", 1) for _ in range(40)))
        phone.put(work.Finished(w=1, reason="length", prompt_tokens=1, completion_tokens=40))
        await until(lambda: here.telemetry.worked)
        piece = await assignment.read()
        assert piece == type(piece)("a" * 40, 40)  # type: ignore[call-arg]
        await asyncio.wait_for(assignment.read(), 5)


def nested(deep: int) -> Any:
    """As a caller's JSON may hold it."""
    found: Any = []
    for _ in range(deep):
        found = [found]
    return found


async def test_a_device_is_given_the_role_and_the_text_of_each_message_alone() -> None:
    async with replicas(1) as (here,):
        phone = await device(here)
        parts = [{"type": "text", "text": "3 + 4"}, {"type": "text", "text": "= ?"}]
        messages = [
            {"role": "system", "content": "Be brief.", "name": "x", "more": nested(2000)},
            {"role": "user", "content": parts},
        ]
        assignment = here.members.assign("phone", order(messages=messages))
        given = await phone.work()
        assert given.messages == [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "3 + 4\n= ?"},
        ]
        phone.put(
            work.Piece(given.w, "7", 1),
            work.Finished(w=given.w, reason="stop", prompt_tokens=5, completion_tokens=1),
        )
        assert (await whole(assignment))[0] == "7"


UNSAYABLE = pytest.mark.parametrize(
    "fields",
    [
        {"messages": [{"role": "user", "content": nested(2000)}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
        {"messages": [{"role": "user"}]},
        {"messages": [{"content": "3 + 4?"}]},
        {"messages": [{"role": "user", "content": "\ud800"}]},
        {"sampling": {"temperature": nested(2000)}},
    ],
    ids=["nested", "an image", "no text", "no role", "half a character", "nested sampling"],
)


@UNSAYABLE
async def test_an_order_that_no_frame_can_carry_fails_as_unable(fields: dict[str, Any]) -> None:
    async with replicas(2) as (here, there):
        phone = await device(there)
        await until(lambda: here.names() == {"phone"})
        for replica in (here, there):
            assert await failure(replica.members.assign("phone", order(**fields))) == "unable"
        assignment = here.members.assign("phone", order())
        assert (await phone.work()).messages == order().messages
        assignment.cancel()
