"""A request that is sent again by its key gets one answer, at whichever replica."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from gateway.core.collective.report import Contribution
from gateway.core.state.operations import Advance, Claim, ClaimState, Read
from gateway.errors import Conflict, StateLost
from gateway.serving.collective.memory import UnfinishedRequest, hashed
from tests.unit.gateway.fake_members import waiting
from tests.unit.gateway.serving.collective.rig import CollectiveRig, FakeCalls, LostStore, chat

pytestmark = pytest.mark.anyio

THREE = {"maths": "Answer: 42", "code": "Answer: 42", "reading": "Answer: 48"}


async def test_a_repeated_request_gets_the_stored_answer() -> None:
    rig = CollectiveRig(THREE)
    first = await rig.send(chat(key="k", members="all", quorum=3))
    asked = len(rig.members.orders)
    again = await rig.send(chat(key="k", members="all", quorum=3))
    assert orjson.loads(again.body) == orjson.loads(first.body)
    assert len(rig.members.orders) == asked
    assert rig.collectives.reports[-1].replayed


async def test_a_repeated_stream_is_a_stream_again() -> None:
    rig = CollectiveRig(THREE, FakeCalls("six sevens are 42"))
    first = await rig.stream(key="k", members="all", quorum=3)
    again = await rig.stream(key="k", members="all", quorum=3)
    assert again.text == first.text == "six sevens are 42"
    assert again.chunks[-1]["tierflow"] == first.chunks[-1]["tierflow"]
    assert {c["id"] for c in again.chunks} == {c["id"] for c in first.chunks}


async def test_another_body_under_the_same_key_is_refused() -> None:
    rig = CollectiveRig(THREE)
    await rig.send(chat(key="k"))
    with pytest.raises(Conflict) as raised:
        await rig.send(chat("Something else?", key="k"))
    assert raised.value.code == "idempotency_mismatch"


async def test_another_caller_with_the_same_key_is_another_request() -> None:
    rig = CollectiveRig(THREE)
    await rig.send(chat(key="k"))
    await rig.send(chat("Something else?", key="k", token="maths"))


def names(key: str, **options: Any) -> tuple[str, str]:
    request = chat(key=key, **options)
    digest = hashed(request.path, request.body.decode())
    return hashed(hashed(""), key), digest


async def test_a_request_under_way_elsewhere_is_not_answered_twice() -> None:
    rig = CollectiveRig(THREE)
    name, digest = names("k", members="all")
    await rig.store.run(
        Claim(name=name, digest=digest, holder="another-replica", lease_s=60.0, ttl_s=600.0)
    )
    with pytest.raises(Conflict) as raised:
        await rig.send(chat(key="k", members="all"))
    assert raised.value.code == "idempotency_running"
    assert rig.members.orders == []


async def test_what_a_dead_replica_left_is_taken_up_from_its_last_round() -> None:
    rig = CollectiveRig(THREE, FakeCalls("Answer: 42"))
    name, digest = names("k", members="all", aggregate="template")
    left = [
        Contribution(
            device="maths",
            role="answer",
            round=0,
            outcome="answered",
            seconds=0.1,
            text="Answer: 42",
        ),
        Contribution(
            device="code",
            role="answer",
            round=0,
            outcome="answered",
            seconds=0.1,
            text="Answer: 41",
        ),
    ]
    await leave(
        rig,
        name,
        digest,
        UnfinishedRequest(chosen=["maths", "code"], quorum=2, early_exit=None, contributions=left),
    )
    body = orjson.loads((await rig.send(chat(key="k", members="all", aggregate="template"))).body)
    about = body["tierflow"]["collective"]
    assert rig.members.orders == [], "nobody is asked twice"
    assert about["resumed"] and [m["device"] for m in about["members"]] == ["maths", "code"]
    assert body["choices"][0]["message"]["content"] == "Answer: 42"


async def leave(rig: CollectiveRig, name: str, digest: str, left: UnfinishedRequest) -> None:
    """As a replica does that dies then."""
    await rig.store.run(
        Claim(name=name, digest=digest, holder="dead-replica", lease_s=0.001, ttl_s=600.0),
        Advance(
            kind="collective", name=f"{name}/{digest}", expected=0, value=left.dumped(), ttl_s=600.0
        ),
    )
    rig.clock.now()


async def test_who_takes_over_goes_on_with_the_same_members_and_quorum() -> None:
    """Though others would be chosen by now, and an early exit left some unheard."""
    rig = CollectiveRig({**THREE, "better": "Answer: 42"}, FakeCalls("Answer: 42"))
    options: dict[str, Any] = {
        "members": "all",
        "aggregate": "majority",
        "rounds": 1,
        "quorum": 3,
    }
    name, digest = names("k", **options)
    contributions = [
        Contribution(
            device="maths",
            role="answer",
            round=0,
            outcome="answered",
            seconds=0.1,
            text="Answer: 41",
        ),
        Contribution(
            device="code",
            role="answer",
            round=0,
            outcome="answered",
            seconds=0.1,
            text="Answer: 42",
        ),
    ]
    left = UnfinishedRequest(
        chosen=["maths", "code", "reading"],
        quorum=3,
        early_exit="decided",
        contributions=contributions,
    )
    await leave(rig, name, digest, left)
    body = orjson.loads((await rig.send(chat(key="k", **options))).body)
    about = body["tierflow"]["collective"]
    assert (about["quorum"], about["early_exit"]) == (3, "decided")
    assert "degraded" not in about
    assert sorted(rig.members.devices("revise")) == ["code", "maths"]
    assert rig.members.devices() == []


async def test_what_is_left_tells_all_that_is_needed_to_go_on() -> None:
    rig = CollectiveRig(THREE)
    await rig.send(chat(key="k", members="all", quorum=2))
    name, digest = names("k", members="all", quorum=2)
    ((_, value),) = await rig.store.run(Read("collective", f"{name}/{digest}"))
    left = UnfinishedRequest.loaded(value)
    assert (sorted(left.chosen), left.quorum) == (["code", "maths", "reading"], 2)
    assert UnfinishedRequest.loaded(left.dumped()) == left


PAUSED = {"lease_s": 0.03}


async def take_over(rig: CollectiveRig, name: str, digest: str) -> None:
    """As another replica does when the lease has run out, on the store's clock."""
    claim, taken = (
        Claim(name=name, digest=digest, holder="another-replica", lease_s=3600.0, ttl_s=3600.0),
        ClaimState.RUNNING,
    )
    while taken is not ClaimState.TAKEN_OVER:
        (found,) = await rig.store.run(claim)
        taken = found.state


async def test_a_replica_whose_request_was_taken_over_stops() -> None:
    rig = CollectiveRig({"a": waiting(), "b": waiting()}, collective=PAUSED)
    task = asyncio.create_task(rig.send(chat(key="k", members="all")))
    while len(rig.members.orders) < 2:
        await asyncio.sleep(0)
    await take_over(rig, *names("k", members="all"))
    async with asyncio.timeout(10):
        with pytest.raises(Conflict):
            await task
    assert sorted(rig.members.cancelled) == ["a", "b"]
    assert rig.collectives.reports[-1].outcome == "idempotency_running"


async def test_a_round_is_not_left_for_a_request_that_was_taken_over() -> None:
    late = asyncio.Event()
    rig = CollectiveRig({"a": "Answer: 41", "b": waiting(late)}, collective={"lease_s": 30.0})
    task = asyncio.create_task(rig.send(chat(key="k", members="all", quorum=2)))
    while len(rig.members.orders) < 2:
        await asyncio.sleep(0)
    for _ in range(30_000):
        rig.clock.now()
    await take_over(rig, *names("k", members="all", quorum=2))
    late.set()
    with pytest.raises(Conflict):
        await task
    assert rig.calls.calls == [], "nobody aggregates beside the new holder"


async def test_a_request_that_failed_may_be_made_again_with_its_key() -> None:
    rig = CollectiveRig({})
    rig.calls.scripted = StateLost("x", retry_after=1, code="engine_error")
    with pytest.raises(StateLost):
        await rig.send(chat(key="k"))
    rig.calls.scripted = "Answer: 42"
    sink = await rig.send(chat(key="k"))
    assert b"Answer: 42" in sink.body


async def test_without_the_shared_state_a_key_can_not_be_honoured() -> None:
    with pytest.raises(StateLost):
        await CollectiveRig(THREE, store=LostStore()).send(chat(key="k"))  # type: ignore[arg-type]
