"""What a collective remembers of its members, and how answers are judged."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import orjson
import pytest

from gateway.core.privacy import PrivacyRule
from gateway.core.state.operations import Means, Observe
from gateway.core.tier import Tier
from gateway.errors import Conflict, InvalidRequest, QuotaExceeded, StateLost
from gateway.serving.collective.feedback import JUDGING_S
from tests.unit.gateway.build import BOUNDS
from tests.unit.gateway.fake_members import waiting
from tests.unit.gateway.fakes import CountingStore, SteppingClock
from tests.unit.gateway.serving.collective.rig import CollectiveRig, FakeCalls, LostStore, chat

pytestmark = pytest.mark.anyio

THREE = {"maths": "Answer: 42", "code": "Answer: 42", "reading": "Answer: 48"}


async def quality(rig: CollectiveRig, *devices: str) -> list[float]:
    names = [f"{device}/mathematics" for device in devices]
    ((means),) = await rig.store.run(Means("quality", names))
    return [round(mean.value, 3) for mean in means]


async def test_agreement_with_the_answer_is_remembered_by_domain() -> None:
    rig = CollectiveRig(THREE)
    body = await rig.ask(aggregate="majority", members="all", quorum=3, agreement=1)
    assert body["tierflow"]["collective"]["domain"] == "mathematics"
    assert await quality(rig, "maths", "code", "reading") == [1.0, 1.0, 0.0]


async def test_one_round_trip_before_the_work_and_one_after() -> None:
    rig = CollectiveRig(THREE)
    await rig.ask(members="all", session="s", quorum=3)
    assert isinstance(rig.store, CountingStore) and rig.store.trips == 2


async def test_nothing_is_stored_of_a_request_that_is_not_public() -> None:
    rules = PrivacyRule.of(owner_tiers=list(Tier), private_tiers=[]).classes
    fields = {device: {"owner": "ann"} for device in THREE}
    for terms, trips in ((rules["public"], 2), (rules["owner"], 1)):
        rig = CollectiveRig(THREE, owners={"maths": "ann"}, fields=fields)
        asked = chat(members="all", quorum=3, session="s", token="maths")
        sink = await rig.send(replace(asked, privacy=terms))
        assert orjson.loads(sink.body)["choices"]
        assert isinstance(rig.store, CountingStore) and rig.store.trips == trips


async def test_feedback_moves_the_quality_of_those_that_agreed() -> None:
    rig = CollectiveRig(THREE)
    body = await rig.ask(aggregate="majority", members="all", quorum=3)
    assert await rig.feedback.judge(body["id"], 0.0, "") == 2
    maths, code, reading = await quality(rig, "maths", "code", "reading")
    assert maths == code < 0.5 and reading == 0.0
    assert rig.collectives.judged == ["mathematics"]


async def test_an_answer_is_judged_once() -> None:
    rig = CollectiveRig(THREE)
    body = await rig.ask(members="all", quorum=3)
    await rig.feedback.judge(body["id"], 1.0, "")
    with pytest.raises(Conflict):
        await rig.feedback.judge(body["id"], 1.0, "")
    with pytest.raises(InvalidRequest):
        await rig.feedback.judge("chatcmpl-" + "0" * 32, 1.0, "")


async def test_an_answer_is_judged_by_the_caller_who_got_it_alone() -> None:
    rig = CollectiveRig(THREE)
    asked = chat(members="all", quorum=3)
    caller = replace(asked.caller, owner="key team-a@1.0")
    id = orjson.loads((await rig.send(replace(asked, caller=caller))).body)["id"]

    async def refusal(owner: str) -> str:
        with pytest.raises((InvalidRequest, Conflict)) as raised:
            await rig.feedback.judge(id, 0.0, owner)
        return raised.value.code

    strangers = ("", "key team-b@1.0", "key team-a@2.0")
    assert [await refusal(owner) for owner in strangers] == ["unknown_answer"] * 3
    assert await rig.feedback.judge(id, 1.0, caller.owner) == 3
    assert [await refusal(owner) for owner in strangers] == ["unknown_answer"] * 3
    assert await refusal(caller.owner) == "already_judged"


class Breaking(CountingStore):
    """Is lost at a round trip, before it does anything."""

    breaks_at = 0

    async def run(self, *operations: Any) -> list[Any]:
        if self.trips + 1 == self.breaks_at:
            self.trips += 1
            raise StateLost("no state", retry_after=1.0, code="state_lost")
        return await super().run(*operations)


@pytest.mark.parametrize("trip", [1, 2, 3])
async def test_a_judgement_that_the_store_lost_may_be_given_again(trip: int) -> None:
    store = Breaking(clock := SteppingClock(), BOUNDS)
    rig = CollectiveRig(THREE, store=store)
    body = await rig.ask(members="all", quorum=3)
    store.breaks_at = store.trips + trip
    with pytest.raises(StateLost):
        await rig.feedback.judge(body["id"], 1.0, "")
    before = await weights(rig, "maths")
    while clock.now() < 2 * JUDGING_S:
        pass
    assert await rig.feedback.judge(body["id"], 1.0, "") == 3
    assert await weights(rig, "maths") > before


async def test_two_who_judge_at_once_count_once() -> None:
    rig = CollectiveRig(THREE)
    body = await rig.ask(members="all", quorum=3)
    both: Any = [rig.feedback.judge(body["id"], 1.0, "") for _ in range(2)]
    found = await asyncio.gather(*both, return_exceptions=True)
    assert sorted(type(each).__name__ for each in found) == ["Conflict", "int"]
    assert await weights(rig, "maths") == [5.0]


async def test_the_members_of_a_session_are_preferred() -> None:
    rig = CollectiveRig({"a": "Answer: 1", "b": "Answer: 1", "z": "Answer: 1"})
    await rig.ask(members=["z"], session="s", quorum=1)
    rig.members.orders.clear()
    await rig.ask(max_members=1, session="s")
    assert rig.members.devices() == ["z"]
    rig.members.orders.clear()
    await rig.ask(max_members=1, session="other")
    assert rig.members.devices() == ["a"]


async def test_a_caller_has_a_quota() -> None:
    rig = CollectiveRig(THREE, collective={"burst": 2, "requests_per_minute": 0.006})
    for _ in range(2):
        await rig.ask()
    with pytest.raises(QuotaExceeded) as raised:
        await rig.ask()
    assert raised.value.retry_after > 0
    await rig.ask(token="maths")


async def test_without_the_shared_state_collectives_go_on() -> None:
    rig = CollectiveRig(THREE, store=LostStore())  # type: ignore[arg-type]
    body = await rig.ask(members="all", quorum=3, session="s")
    assert body["choices"][0]["message"]["content"].startswith("Answer")
    assert rig.collectives.lost == ["recall", "settle"]


async def test_members_that_the_caller_named_learn_nothing_from_each_other() -> None:
    rig = CollectiveRig(THREE)
    body = await rig.ask(aggregate="majority", members=["maths", "code"], quorum=2)
    assert await weights(rig, "maths", "code") == [0.0, 0.0]
    assert await rig.feedback.judge(body["id"], 1.0, "") == 0
    assert await weights(rig, "maths", "code") == [0.0, 0.0]


async def test_a_devices_own_answer_is_no_proof_of_its_quality() -> None:
    rig = CollectiveRig(THREE, owners={"maths": "ann"})
    options = {"members": "all", "rounds": 1, "final": "own", "quorum": 3}
    body = await rig.ask(token="maths", **options)
    assert body["tierflow"]["collective"]["decided_by"] == "own"
    assert await weights(rig, *THREE) == [0.0, 0.0, 0.0]
    assert await rig.feedback.judge(body["id"], 1.0, "maths") == 0


async def test_a_device_that_misbehaves_loses_quality() -> None:
    rig = CollectiveRig({**THREE, "liar": "7 " * 100_000})
    await rig.ask(members="all", quorum=3)
    assert await quality(rig, "liar") == [0.0]
    assert await weights(rig, "liar") == [1.0]


async def test_one_that_is_waited_for_in_vain_loses_quality_and_its_pace_is_known() -> None:
    rig = CollectiveRig({**THREE, "slow": waiting()}, FakeCalls("Answer: 42"))
    await rig.ask(members="all", quorum=3, aggregate="template")
    assert await weights(rig, "slow") == [1.0]
    ((pace,),) = await rig.store.run(Means("pace", ["slow/seconds"]))
    assert pace.value > 0.0 and 0.0 < pace.weight < 1.0


async def test_being_waited_for_less_than_it_takes_makes_nobody_look_quicker() -> None:
    rig = CollectiveRig({**THREE, "slow": waiting()}, FakeCalls("Answer: 42"))
    await rig.store.run(
        Observe(kind="pace", name="slow/seconds", value=20.0, weight=3.0, half_life_s=1e7)
    )
    await rig.ask(members="all", quorum=3, aggregate="template")
    ((pace,),) = await rig.store.run(Means("pace", ["slow/seconds"]))
    assert pace.value == pytest.approx(20.0)


async def weights(rig: CollectiveRig, *devices: str) -> list[float]:
    names = [f"{device}/mathematics" for device in devices]
    ((means),) = await rig.store.run(Means("quality", names))
    return [round(mean.weight, 3) for mean in means]


async def test_praise_of_a_long_answer_lowers_nobody() -> None:
    """Two good letters share few pairs of words."""
    letters = {
        "maths": "Dear Ann,\nthe garden is in bloom and we miss you",
        "code": "Dear Ann,\nhow long it has been since the summer",
        "reading": "Hello!\nNothing new here",
    }
    rig = CollectiveRig(letters, FakeCalls("Dear Ann,\nthe garden misses you since the summer"))
    body = await rig.ask(aggregate="template", members="all", quorum=3)
    await rig.feedback.judge(body["id"], 1.0, "")
    assert min(await weights(rig, "maths", "code")) > 0.0
    assert await quality(rig, "maths", "code") == [1.0, 1.0]
    assert await weights(rig, "reading") == [0.0]
