"""Best of n by likelihood: what is weighed, when, and what becomes of failures on the way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.errors import ClientStalled, InvalidRequest
from gateway.serving.requests.engine_calls import EngineCall
from tests.unit.gateway.fake_members import Script, waiting
from tests.unit.gateway.fakes import ListSink
from tests.unit.gateway.serving.collective.rig import (
    THREE,
    CollectiveRig,
    FakeCalls,
    broken,
    chat,
    outcomes,
)

pytestmark = pytest.mark.anyio


async def test_the_likeliest_of_the_answers_wins_best_of_n() -> None:
    def scripted(call: EngineCall) -> Any:
        if call.path == "/tokenize":
            return {"count": 2}
        logprob = -0.1 if "48" in call.body["messages"][-1]["content"] else -2.0
        row = {"7": {"logprob": logprob}, "8": {"logprob": -0.01}}
        return {"prompt_logprobs": [None, row, row], "usage": {"prompt_tokens": 3}}

    rig = CollectiveRig(THREE, FakeCalls(scripted))
    body = await rig.ask(aggregate="best-of-n", members="all", quorum=3)
    assert body["choices"][0]["message"]["content"] == "Answer: 48"
    assert body["tierflow"]["collective"]["decided_by"] == "best-of-n"
    assert len(rig.calls.calls) == 3, "the prompt's length, and each distinct answer once"


def equally_likely(call: EngineCall, logprob: float = -0.5) -> Any:
    if call.path == "/tokenize":
        return {"count": 2}
    row = {"7": {"logprob": logprob}}
    return {"prompt_logprobs": [None, row, row], "usage": {"prompt_tokens": 3}}


async def test_the_callers_cache_salt_goes_along_with_each_answer_that_is_weighed() -> None:
    rig = CollectiveRig(THREE, FakeCalls(equally_likely))
    options: dict[str, Any] = {"aggregate": "best-of-n", "members": "all", "quorum": 3}
    await rig.send(chat(body={"cache_salt": "salt", "priority": 2}, **options))
    asked = [call.body for call in rig.calls.calls if call.path != "/tokenize"]
    assert [(body["cache_salt"], body["priority"]) for body in asked] == [("salt", 2)] * 2


def nearly_certain(call: EngineCall) -> Any:
    return equally_likely(call, -0.01)


def weighed(rig: CollectiveRig) -> list[str]:
    """The answers whose likelihood was asked for, in this order."""
    return [rig.calls.prompt(n) for n, c in enumerate(rig.calls.calls) if c.path != "/tokenize"]


async def test_an_answer_that_can_not_win_any_more_is_not_weighed() -> None:
    many: dict[str, Script] = dict.fromkeys(("a", "b", "c"), "Answer: 42")
    rig = CollectiveRig({**many, "odd": "Answer: 48"}, FakeCalls(equally_likely))
    body = await rig.ask(aggregate="best-of-n", members="all", quorum=4)
    assert body["choices"][0]["message"]["content"] == "Answer: 42"
    assert weighed(rig) == ["Answer: 42"]


async def test_answers_that_differ_are_weighed_while_others_are_at_work() -> None:
    late = asyncio.Event()

    def scripted(call: EngineCall) -> Any:
        if call.path != "/tokenize":
            late.set()
        return equally_likely(call)

    rig = CollectiveRig(
        {"a": "Answer: 42", "b": "Answer: 48", "slow": waiting(late)}, FakeCalls(scripted)
    )
    body = await rig.ask(aggregate="best-of-n", members="all", quorum=3)
    assert outcomes(body)["slow"] == "answered", "it waited for the first likelihood"


async def test_a_member_that_can_not_change_the_choice_is_not_waited_for() -> None:
    many: dict[str, Script] = dict.fromkeys(("a", "b", "c"), "Answer: 42")
    scripts: dict[str, Script] = {**many, "odd": "Answer: 48", "slow": waiting()}
    good = dict.fromkeys(many, {"description": "what 6 times 7 is"})
    rig = CollectiveRig(
        scripts,
        FakeCalls(nearly_certain),
        fields=good,
        collective={"rather_likelihood": ["rill-*"]},
    )
    body = await rig.ask(members="all", quorum=5)
    about = body["tierflow"]["collective"]
    assert (about["decided_by"], about["early_exit"]) == ("best-of-n", "decided")
    assert rig.members.cancelled == ["slow"]
    assert "degraded" not in about


async def test_a_stream_begins_with_what_all_answers_have_in_common() -> None:
    """It is certain before any of them is weighed."""
    rig = CollectiveRig(THREE, FakeCalls(equally_likely))
    streamed = await rig.stream(aggregate="best-of-n", members="all", quorum=3)
    assert streamed.pieces == ["Answer: 4", "2"]


async def test_what_failed_while_members_worked_is_tried_again_for_the_choice() -> None:
    failures = [broken()]

    def scripted(call: EngineCall) -> Any:
        if call.path != "/tokenize" and failures:
            raise failures.pop()
        return equally_likely(call)

    revised: dict[str, Any] = {name: [said, said] for name, said in THREE.items()}
    rig = CollectiveRig(revised, FakeCalls(scripted))
    body = await rig.ask(aggregate="best-of-n", members="all", quorum=3, rounds=1)
    assert body["tierflow"]["collective"]["decided_by"] == "best-of-n"


async def test_a_text_that_is_no_candidate_any_more_may_be_refused() -> None:
    late = asyncio.Event()

    def scripted(call: EngineCall) -> Any:
        if call.path == "/tokenize":
            return {"count": 2}
        if "long" in call.body["messages"][-1]["content"]:
            late.set()
            raise InvalidRequest("too long", code="engine_refused")
        return equally_likely(call)

    rig = CollectiveRig(
        {"a": "long\nAnswer: late", "b": "Answer: 48", "slow": waiting(late)},
        FakeCalls(scripted),
        fields={"slow": {"description": "what 6 times 7 is"}},
    )
    body = await rig.ask(aggregate="best-of-n", members="all", quorum=3)
    about = body["tierflow"]["collective"]
    assert (about["decided_by"], about.get("fallback")) == ("best-of-n", None)
    assert body["choices"][0]["message"]["content"] == "Answer: late"


async def test_a_caller_that_stops_reading_before_the_choice_is_not_taken_for_answered() -> None:
    class Stalled(ListSink):
        async def send(self, data: bytes, more: bool) -> None:
            if b'"content":"2"' in data:
                await asyncio.Event().wait()
            await super().send(data, more)

    rig = CollectiveRig(THREE, FakeCalls(equally_likely), idle_s=0.05)
    asked = chat(stream=True, aggregate="best-of-n", members="all", quorum=3)
    with pytest.raises(ClientStalled):
        await rig.handler.answer(asked, {}, Stalled())


async def test_the_model_that_weighed_is_named_also_where_it_did_so_in_an_earlier_round() -> None:
    revised: dict[str, Any] = {name: [said, said] for name, said in THREE.items()}
    rig = CollectiveRig(revised, FakeCalls(equally_likely))
    body = await rig.ask(aggregate="best-of-n", members="all", quorum=3, rounds=1)
    named = body["tierflow"]["collective"]["aggregator"]
    assert (named["model"], named["calls"]) == ("rill-edge", 2)


async def test_nothing_is_said_twice_when_the_likelihoods_fail() -> None:
    rig = CollectiveRig(THREE, FakeCalls(broken()))
    streamed = await rig.stream(aggregate="best-of-n", members="all", quorum=3)
    assert streamed.text == "Answer: 42"
    assert streamed.chunks[-1]["tierflow"]["collective"]["fallback"] == "engine_error"


async def test_between_equally_likely_answers_the_members_weight_decides() -> None:
    rig = CollectiveRig(THREE, FakeCalls(equally_likely))
    body = await rig.ask(aggregate="best-of-n", members="all", quorum=3)
    assert body["choices"][0]["message"]["content"] == "Answer: 42"


async def test_answers_that_are_all_the_same_are_not_weighed() -> None:
    rig = CollectiveRig({"maths": "Answer: 42", "code": "6 * 7\nAnswer: 42"})
    body = await rig.ask(aggregate="best-of-n", members="all", quorum=2)
    assert body["tierflow"]["collective"]["decided_by"] == "best-of-n"
    assert weighed(rig) == []


async def test_an_answer_is_weighed_with_its_end() -> None:
    """One that breaks off would else be the likeliest: its beginning is part of every other."""
    rig = CollectiveRig(THREE, FakeCalls(equally_likely))
    await rig.ask(aggregate="best-of-n", members="all", quorum=3)
    bodies = [call.body for call in rig.calls.calls if call.path != "/tokenize"]
    assert len(bodies) == 2
    assert not any(body.get("continue_final_message") for body in bodies)
    assert all(body["add_generation_prompt"] is False for body in bodies)


async def test_auto_weighs_answers_where_the_aggregator_does_better_so() -> None:
    rig = CollectiveRig(
        THREE, FakeCalls(equally_likely), collective={"rather_likelihood": ["rill-*"]}
    )
    body = await rig.ask(members="all", quorum=3)
    assert body["tierflow"]["collective"]["decided_by"] == "best-of-n"


async def test_one_talkative_member_does_not_change_how_the_others_are_weighed() -> None:
    """By the token a long text of common words would beat any short answer."""

    def scripted(call: EngineCall) -> Any:
        if call.path == "/tokenize":
            return {"count": 2}
        talk = "no" in call.body["messages"][-1]["content"]
        rows = [{"7": {"logprob": -0.3}}] * 40 if talk else [{"7": {"logprob": -0.5}}] * 2
        return {"prompt_logprobs": [None, {"7": {"logprob": 0.0}}, *rows], "usage": {}}

    talker = {"maths": "Answer: 42", "code": "Answer: 42", "reading": "no\n\nno\n\n" * 9}
    rig = CollectiveRig(talker, FakeCalls(scripted))
    body = await rig.ask(aggregate="best-of-n", members="all", quorum=3)
    assert body["choices"][0]["message"]["content"] == "Answer: 42"


async def test_without_likelihoods_best_of_n_is_a_weighted_vote() -> None:
    rig = CollectiveRig(THREE, FakeCalls(lambda call: {"count": 2}))
    body = await rig.ask(aggregate="best-of-n", members="all", quorum=3)
    about = body["tierflow"]["collective"]
    assert (about["decided_by"], about["fallback"]) == ("weighted", "no_likelihood")
