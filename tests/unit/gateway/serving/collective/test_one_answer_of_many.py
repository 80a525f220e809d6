from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

import pytest

from gateway.core.collective import voting
from gateway.core.collective.answers import Reading, agreement
from gateway.core.devices.member import MemberCondition, WorkEnd, WorkOrder, WorkPiece
from gateway.errors import InvalidRequest
from tests.unit.gateway.fake_members import Script, failing, steps, waiting
from tests.unit.gateway.serving.collective.rig import THREE, CollectiveRig, FakeCalls, outcomes

pytestmark = pytest.mark.anyio


async def test_members_answer_and_a_server_model_aggregates() -> None:
    rig = CollectiveRig(THREE, FakeCalls("Answer: 42"))
    body = await rig.ask(aggregate="template", members="all", quorum=3)
    assert body["object"] == "chat.completion" and body["model"] == "tierflow-collective"
    assert body["choices"][0]["message"] == {"role": "assistant", "content": "Answer: 42"}
    about = body["tierflow"]["collective"]
    assert about["decided_by"] == "template"
    assert about["aggregator"] == {
        "model": "rill-edge",
        "tier": "edge",
        "template": "rill-judge@1",
        "calls": 1,
    }
    shares = {m["device"]: (m["outcome"], m["share"]) for m in about["members"]}
    assert shares == {
        "maths": ("answered", 1.0),
        "code": ("answered", 1.0),
        "reading": ("answered", 0.0),
    }
    assert body["usage"] == {
        "prompt_tokens": 130,
        "completion_tokens": 35,
        "total_tokens": 165,
    }


async def test_the_family_is_asked_in_the_form_that_it_was_trained_on() -> None:
    rig = CollectiveRig(THREE)
    await rig.ask(aggregate="template", members="all", quorum=3)
    assert rig.calls.prompt() == (
        "What is 6 times 7?\nOthers answered:\n- 42\n- 42\n- 48\nWhat is the right answer?"
    )


async def test_a_stream_brings_the_aggregators_tokens_as_they_come() -> None:
    rig = CollectiveRig(THREE, FakeCalls("six sevens are 42"))
    streamed = await rig.stream(aggregate="template", members="all", quorum=3)
    assert streamed.pieces == ["six", " sevens", " are", " 42"]
    assert streamed.chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert streamed.comments[0].split() == ["selected", "code", "maths", "reading"]
    assert len([c for c in streamed.comments if c.startswith("answered ")]) == 3
    last = streamed.chunks[-1]
    assert last["choices"][0]["finish_reason"] == "stop"
    assert last["tierflow"]["collective"]["decided_by"] == "template"
    assert streamed.data[-1] == "[DONE]"


async def test_members_that_agree_need_no_aggregator() -> None:
    rig = CollectiveRig({"maths": "so 7 * 6\nAnswer: 42", "code": "Answer: 42.", "slow": waiting()})
    body = await rig.ask(members="all", quorum=2)
    assert body["choices"][0]["message"]["content"].rstrip(".").endswith("42")
    about = body["tierflow"]["collective"]
    assert (about["decided_by"], about["early_exit"]) == ("agreement", "agreed")
    assert rig.calls.calls == []
    assert outcomes(body)["slow"] == "straggler"
    assert rig.members.cancelled == ["slow"]


async def test_members_that_disagree_do() -> None:
    rig = CollectiveRig({"maths": "Answer: 42", "code": "Answer: 43"}, FakeCalls("Answer: 43"))
    body = await rig.ask(members="all")
    about = body["tierflow"]["collective"]
    assert (about["decided_by"], about["disagreement"]) == ("template", True)
    assert body["choices"][0]["message"]["content"] == "Answer: 43"


@pytest.mark.parametrize(("how", "text"), [("majority", "Answer: 42"), ("weighted", "Answer: 42")])
async def test_votes_need_no_server_model(how: str, text: str) -> None:
    rig = CollectiveRig(THREE)
    body = await rig.ask(aggregate=how, members="all", quorum=3)
    assert body["choices"][0]["message"]["content"] == text
    assert body["tierflow"]["collective"]["decided_by"] == how
    assert rig.calls.calls == []


async def test_a_vote_ends_when_the_others_could_not_change_it() -> None:
    says: dict[str, Script] = {
        "a": "Answer: 1",
        "b": "Answer: 1",
        "c": "Answer: 1",
        "d": "Answer: 2",
    }
    rig = CollectiveRig({**says, "slow": waiting()})
    body = await rig.ask(aggregate="majority", members="all", quorum=5)
    assert body["tierflow"]["collective"]["early_exit"] == "decided"


async def test_members_revise_in_the_light_of_the_aggregate() -> None:
    says: dict[str, Any] = {
        "maths": ["Answer: 42", "Answer: 42"],
        "code": ["Answer: 43", "Answer: 42"],
    }
    rig = CollectiveRig(says, FakeCalls("Answer: 42"))
    body = await rig.ask(aggregate="template", members="all", rounds=2, quorum=2)
    order = next(o for d, o in rig.members.orders if d == "code" and o.kind == "revise")
    assert order.messages[-1]["content"] == (
        "What is 6 times 7?\nYour answer was: 43\nAnother answer is: 42\nGive your final answer."
    )
    about = body["tierflow"]["collective"]
    assert about["rounds"] == 1, "all agreed, so that nobody was asked a second time"
    assert [(m["device"], m["role"], m["round"]) for m in about["members"]] == [
        ("code", "answer", 0),
        ("maths", "answer", 0),
        ("code", "revise", 1),
        ("maths", "revise", 1),
    ]


async def test_a_right_answer_that_its_member_gives_up_stays_a_candidate() -> None:
    """Each member has a vote for what it said first, and one for what it says now."""
    says: dict[str, Any] = {
        "maths": ["Answer: 42", "Answer: 41"],
        "code": ["Answer: 42", "Answer: 40"],
        "reading": ["Answer: 43", "Answer: 39"],
    }
    rig = CollectiveRig(says)
    body = await rig.ask(aggregate="majority", members="all", rounds=1, quorum=3)
    assert body["choices"][0]["message"]["content"] == "Answer: 42"


async def test_a_member_that_fails_to_revise_stands_by_its_answer() -> None:
    scripts: dict[str, Script | Sequence[Script]] = {
        "maths": "Answer: 42",
        "code": ["Answer: 43", failing("lost")],
    }
    rig = CollectiveRig(scripts, FakeCalls("Answer: 42"))
    body = await rig.ask(aggregate="majority", members="all", rounds=1, quorum=2)
    assert body["choices"][0]["message"]["content"] in ("Answer: 42", "Answer: 43")
    assert body["tierflow"]["collective"]["members"][-1]["outcome"] in ("answered", "failed")


async def test_the_asking_device_gets_its_own_revised_answer() -> None:
    says: dict[str, Any] = {"maths": "Answer: 42", "code": ["Answer: 1", "Answer: 42, I see"]}
    rig = CollectiveRig(says, owners={"code": ""})
    body = await rig.ask(aggregate="template", members="all", rounds=1, final="own", token="code")
    assert body["choices"][0]["message"]["content"] == "Answer: 42, I see"
    assert body["tierflow"]["collective"]["decided_by"] == "own"


async def test_own_is_refused_without_a_devices_token() -> None:
    with pytest.raises(InvalidRequest) as raised:
        await CollectiveRig(THREE).ask(rounds=1, final="own")
    assert raised.value.param == "tierflow.collective.final"


async def test_one_strong_model_may_be_sampled_instead() -> None:
    rig = CollectiveRig({}, FakeCalls(lambda call: f"Answer: {call.body.get('seed', 0) % 2}"))
    body = await rig.ask(mode="self-moa", self_moa={"samples": 3, "model": "big"}, quorum=3)
    samples = [c for c in rig.calls.calls if c.model == "big"]
    assert [(c.body["seed"], c.body["temperature"]) for c in samples] == [
        (1, 0.7),
        (2, 0.7),
        (3, 0.7),
    ]
    about = body["tierflow"]["collective"]
    assert about["mode"] == "self-moa" and about["decided_by"] == "template"
    assert [m["device"] for m in about["members"]] == ["sample-1", "sample-2", "sample-3"]


async def test_a_single_device_may_be_sampled_too() -> None:
    rig = CollectiveRig({"maths": "Answer: 42"})
    body = await rig.ask(mode="self-moa", self_moa={"samples": 3, "device": "maths"}, quorum=2)
    assert len(rig.members.orders) >= 2
    assert body["tierflow"]["collective"]["decided_by"] == "agreement"


def in_a_while(do: Callable[[], None], turns: int = 50) -> None:
    """When whatever else the loop has to do at once is done."""
    loop = asyncio.get_running_loop()
    loop.call_soon(do if turns == 0 else lambda: in_a_while(do, turns - 1))


async def test_the_specialist_is_heard_when_two_others_agree() -> None:
    """Weights of those that don't fit can't settle what the one that fits was asked for."""
    others = asyncio.Event()

    async def last(order: WorkOrder) -> AsyncGenerator[str]:
        in_a_while(others.set)
        yield "Answer: 41"

    away = MemberCondition(round_trip_s=5.0)
    fields = {"maths": {"description": "what 6 times 7 is", "condition": away}}
    rig = CollectiveRig({"a": "Answer: 41", "b": last, "maths": waiting(others)}, fields=fields)
    body = await rig.ask(members="all", quorum=2, aggregate="weighted")
    about = body["tierflow"]["collective"]
    assert outcomes(body)["maths"] == "answered"
    assert about.get("early_exit") is None


async def test_long_answers_are_compared_once_in_all_rounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[frozenset[str]] = []

    def counted(one: Reading, other: Reading) -> float:
        compared.append(frozenset((one.text, other.text)))
        return agreement(one, other)

    monkeypatch.setattr(voting, "agreement", counted)
    says = {f"m{n}": f"text {n}\n" + f"of many words {n} " * 50 for n in range(8)}
    rig = CollectiveRig(says)
    await rig.ask(members="all", quorum=8, aggregate="weighted", rounds=1)
    assert len(compared) == len(set(compared))


CUT = steps(
    WorkPiece("7+5", 3),
    WorkEnd(reason="length", prompt_tokens=4, completion_tokens=3, logprob=-0.1),
)


@pytest.mark.parametrize("aggregate", ["auto", "majority", "weighted", "best-of-n"])
async def test_an_answer_that_was_cut_says_so(aggregate: str) -> None:
    rig = CollectiveRig({"a": CUT, "b": CUT})
    whole = await rig.ask(aggregate=aggregate, members="all", quorum=2)
    assert whole["choices"][0]["finish_reason"] == "length"
    streamed = await CollectiveRig({"a": CUT, "b": CUT}).stream(aggregate=aggregate, members="all")
    assert streamed.chunks[-1]["choices"][0]["finish_reason"] == "length"


async def test_a_whole_answer_that_wins_over_a_cut_one_is_whole() -> None:
    rig = CollectiveRig({"a": CUT, "b": "Answer: 12", "c": "Answer: 12"})
    body = await rig.ask(aggregate="majority", members="all", quorum=3)
    assert body["choices"][0]["finish_reason"] == "stop"


async def test_samples_of_a_server_model_that_were_cut_say_so() -> None:
    def cut(call: Any) -> dict[str, Any]:
        message = {"role": "assistant", "content": "7+5"}
        return {"choices": [{"message": message, "finish_reason": "length"}], "usage": {}}

    rig = CollectiveRig({}, FakeCalls(cut))
    body = await rig.ask(mode="self-moa", self_moa={"samples": 2})
    assert body["choices"][0]["finish_reason"] == "length"


async def test_the_work_of_members_carries_the_request_s_id() -> None:
    rig = CollectiveRig(THREE)
    await rig.ask(members="all", rounds=1)
    (outcome,) = rig.telemetry.outcomes
    ids = {order.id for _, order in rig.members.orders}
    assert ids == {f"{outcome.request.id}/generate", f"{outcome.request.id}/revise"}
