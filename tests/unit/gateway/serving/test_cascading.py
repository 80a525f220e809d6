"""A cascade on fakes: deadlines, overflows, limits and what is left open afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from gateway.adapters.clock import MonotonicClock
from gateway.core.speculation.job import Batch
from gateway.core.types import Tier as Place
from gateway.errors import EngineFailed, FirstTokenTimeout, GatewayError, InvalidRequest
from gateway.serving.cascade.audits import MOST_AT_ONCE
from gateway.serving.cascade.lower_tier import StageSpec
from tests.unit.gateway.build import request, state
from tests.unit.gateway.fakes import (
    FakeAnswer,
    ListSink,
)
from tests.unit.gateway.serving.cascade_rig import (
    TOP,
    Rig,
    about,
    chat,
    verified,
)

pytestmark = pytest.mark.anyio


async def test_what_is_unsure_goes_up_with_its_ids_as_drafts() -> None:
    rig = Rig({"edge:1": chat("No", -2.0)}, TOP)
    body = await rig.ask()
    assert body["choices"][0]["message"]["content"] == "Yes"
    [made] = rig.verifier.made
    assert made.drafts == [(0, [5, 6, 7], [])]
    assert (about(body)["predicted_tokens"], about(body)["kept_tokens"]) == (3, 2)
    assert body["usage"]["completion_tokens"] == 3 + 3
    rig.assert_nothing_left_open()


async def test_ids_of_another_tokenizer_are_never_offered() -> None:
    states = [state("edge:1", "edge", tokenizer="f"), state("cloud:1", "cloud", tokenizer="g")]
    stream = b'data: {"choices":[{"index":0,"delta":{"content":"Yes"},"finish_reason":"stop"}]}\n\n'
    rig = Rig(
        {
            "edge:1": chat("No", -2.0),
            "cloud:1": lambda: FakeAnswer([stream, b"data: [DONE]\n\n"]),
        },
        {},
        states=states,
    )
    body = await rig.ask()
    assert body["choices"][0]["message"]["content"] == "Yes"
    assert about(body)["prediction"] == "tokenizer-differs" and not rig.verifier.jobs
    rig.assert_nothing_left_open()


async def test_ids_beyond_the_verifiers_vocabulary_are_never_offered() -> None:
    answer = orjson.loads(chat("No", -2.0)()._pieces[0])
    answer["choices"][0]["token_ids"] = [5, 100, 6]
    rig = Rig({"edge:1": lambda: FakeAnswer([orjson.dumps(answer)], 200, "application/json")}, TOP)
    await rig.ask()
    assert rig.verifier.made[0].drafts == [(0, [5], [])]


async def test_an_answer_that_the_top_gave_for_a_lower_tier_stands() -> None:
    """The edge is down, so its virtual model went over to the cloud."""
    rig = Rig({"cloud:1": chat("Yes", -2.0)}, {})
    body = await rig.ask()
    assert body["choices"][0]["message"]["content"] == "Yes"
    assert about(body)["stages"][0]["decision"] == "answered"
    assert not about(body)["escalated"] and rig.told.outcomes[0].tier == "cloud"


async def test_no_model_is_asked_a_second_time_as_the_top() -> None:
    """The cloud is down: its virtual model would go over to the edge, which has answered."""
    states = [state("edge:1", "edge"), state("cloud:1", "cloud", healthy=False)]
    rig = Rig({"edge:1": chat("No", -2.0)}, {}, states=states)
    body = await rig.ask()
    assert body["choices"][0]["message"]["content"] == "No"
    assert about(body)["degraded"] == "no_endpoint" and len(rig.server.calls) == 1


async def test_what_a_tier_cut_off_goes_up_and_what_the_caller_cut_off_does_not() -> None:
    rig = Rig({"edge:1": chat("No", reason="length")}, TOP)
    assert about(await rig.ask())["reason"] == "length-cut"
    assert about(await rig.ask(max_tokens=3))["reason"] is None


async def test_a_caller_may_keep_it_below_a_tier() -> None:
    rig = Rig({"edge:1": chat("No", -2.0)}, TOP)
    body = await rig.ask({"max_tier": Place.EDGE})
    assert body["choices"][0]["message"]["content"] == "No"
    assert about(body)["degraded"] == "demand_not_met" and not rig.verifier.jobs


async def test_a_tier_that_takes_half_of_the_time_is_left_for_the_next() -> None:
    clock = MonotonicClock()
    rig = Rig(
        {
            "edge:1": lambda: FakeAnswer([None], 200, "application/json"),
            "cloud:1": lambda: FakeAnswer(
                [
                    b'data: {"choices":[{"index":0,"delta":{"content":"Yes"},'
                    b'"finish_reason":"stop"}]}\n\n',
                    b"data: [DONE]\n\n",
                ]
            ),
        },
        {},
        clock=clock,
    )
    body = await rig.ask({"deadline_s": 0.4, "received": clock.now()})
    assert about(body)["reason"] == "deadline"
    assert body["choices"][0]["message"]["content"] == "Yes"
    rig.assert_nothing_left_open()


AGREEMENT: dict[str, Any] = {"cascade": {"confidence": "agreement"}}
SELF_CHECK: dict[str, Any] = {"cascade": {"confidence": "self-check"}}


@pytest.mark.parametrize("options", [AGREEMENT, SELF_CHECK])
async def test_samples_and_self_checks_end_with_the_lower_tiers_time(
    options: dict[str, Any],
) -> None:
    clock = MonotonicClock()
    answers = iter([chat("No"), lambda: FakeAnswer([None], 200, "application/json")])
    rig = Rig({"edge:1": lambda: next(answers)()}, TOP, clock=clock)
    body = await rig.ask({"deadline_s": 0.4, "received": clock.now()}, tierflow=options)
    assert body["choices"][0]["message"]["content"] == "Yes"
    assert about(body)["escalated"]
    rig.assert_nothing_left_open()


@pytest.mark.parametrize("demands", [{}, {"max_tier": Place.CLOUD}])
async def test_samples_do_not_overflow_to_the_tier_above(demands: dict[str, Any]) -> None:
    states = [state("edge:1", "edge", healthy=False), state("cloud:1", "cloud")]
    rig = Rig({"cloud:1": chat("Yes")}, {}, states=states)
    body = await rig.ask(demands, tierflow=AGREEMENT)
    assert about(body)["stages"][0]["decision"] == "answered"
    assert len(rig.server.calls) == 1, "the answer itself"


@pytest.mark.parametrize("options", [AGREEMENT, SELF_CHECK])
async def test_what_judges_an_answer_keeps_to_the_callers_highest_tier(
    options: dict[str, Any],
) -> None:
    """The model is served at both tiers, and is soonest done at the forbidden one."""
    states = [
        state("edge:1", "edge", model="same", in_flight=3, waiting=3, in_flight_at_scrape=3),
        state("cloud:1", "cloud", model="same"),
    ]
    tiers = (StageSpec("same"), StageSpec("tierflow-cloud"))
    rig = Rig({"edge:1": chat("No"), "cloud:1": chat("No")}, TOP, tiers=tiers, states=states)
    await rig.ask({"max_tier": Place.EDGE}, tierflow=options)
    assert [endpoint for endpoint, _, _ in rig.server.calls] == ["edge:1"] * 2


@pytest.mark.parametrize(("options", "answers"), [(AGREEMENT, 2), (SELF_CHECK, 2)])
async def test_what_judges_an_answer_is_counted_with_its_prompts(
    options: dict[str, Any], answers: int
) -> None:
    rig = Rig({"edge:1": chat("yes")}, {})
    body = await rig.ask(tierflow=options)
    assert about(body)["reason"] is None
    assert body["usage"] == _usage(4 * answers, 3 * answers)


def _usage(prompt: int, completion: int) -> dict[str, int]:
    counts = {"prompt_tokens": prompt, "completion_tokens": completion}
    return {**counts, "total_tokens": prompt + completion}


def event(text: str, reason: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason}
    return b"data: " + orjson.dumps({"choices": [choice], **more}) + b"\n\n"


def sure(text: str, *ids: int) -> bytes:
    logprobs = {"content": [{"token": "t", "logprob": 0.0}] * len(ids)}
    choice = {"index": 0, "delta": {"content": text}, "token_ids": ids, "logprobs": logprobs}
    return b"data: " + orjson.dumps({"choices": [choice]}) + b"\n\n"


async def test_a_top_that_is_left_at_a_stop_text_has_its_tokens_counted() -> None:
    """Asked plainly, as the tokenizers differ; what flowed before goes along as text."""
    states = [state("edge:1", "edge", tokenizer="f"), state("cloud:1", "cloud", tokenizer="g")]
    broken = EngineFailed("no", endpoint="edge:1", code="engine_error")
    small: list[Any] = [event("", prompt_token_ids=[1, 2, 3, 4]), *[sure("a", 7)] * 12, broken]
    large = [event("", prompt_token_ids=[1, 2, 3]), event("b"), event("c"), event("|"), event("d")]
    rig = Rig(
        {"edge:1": lambda: FakeAnswer(small), "cloud:1": lambda: FakeAnswer(large)},
        {},
        states=states,
    )
    body = await rig.stream(stop=["|"])
    assert body.text == "a" * 5 + "bc"
    assert [stage["tokens"] for stage in body.about["stages"]] == [12, 3]
    assert body.usage == _usage(4 + 3, 12 + 3)
    rig.assert_nothing_left_open()


async def test_what_was_made_for_a_caller_that_left_is_told() -> None:
    small: list[Any] = [event("", prompt_token_ids=[1, 2, 3, 4]), *[sure("a", 7)] * 12, None]
    rig = Rig({"edge:1": lambda: FakeAnswer(small)}, {})
    task = asyncio.create_task(rig.stream())
    while not (rig.server.answers and len(rig.server.answers[0]._pieces) == 0):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    [stage] = rig.told.outcomes[0].stages
    assert (stage.tier, stage.tokens, stage.prompt_tokens) == ("edge", 12, 4)


async def test_audits_that_are_not_made_are_told_as_missed() -> None:
    """One fails, and of many at once only so many are made."""

    def hang() -> FakeAnswer:
        return FakeAnswer([None], 200, "application/json")

    audits = iter([chat("Hi"), lambda: FakeAnswer([], 500), *[hang] * MOST_AT_ONCE])
    rig = Rig({"edge:1": chat("Hi"), "cloud:1": lambda: next(audits)()}, {}, audit_share=0.5)
    for count in (1, 2):
        await rig.ask()
        await rig.log.reach(count)
    for _ in range(MOST_AT_ONCE + 1):
        await rig.ask()
    rows = await rig.log.reach(3)
    assert [(row["audit"], row["agreed"]) for row in rows] == [
        ("done", True), ("missed", None), ("missed", None),
    ]  # fmt: skip
    assert {row["weight"] for row in rows} == {2.0} and rows[0]["upper"] == "rill-cloud"
    await rig.audits.stop()


async def test_what_the_top_only_went_on_with_is_audited() -> None:
    """Text had flowed, so nobody knows what the top itself would have said."""
    doubt = {"content": [{"token": "t", "logprob": -3.0}]}
    choice = {"index": 0, "delta": {"content": "b"}, "token_ids": [9], "logprobs": doubt}
    doubtful = b"data: " + orjson.dumps({"choices": [choice]}) + b"\n\n"
    small = [*[sure("a", 7)] * 12, doubtful, event("", "stop"), b"data: [DONE]\n\n"]
    rig = Rig(
        {"edge:1": lambda: FakeAnswer(small), "cloud:1": chat("a" * 12 + "b")},
        verified(Batch(ids=[8], reason="stop", text="c")),
        audit_share=0.5,
    )
    reply = await rig.stream()
    assert reply.text.startswith("a" * 5) and reply.about["escalated"]
    [row] = await rig.log.reach(1)
    assert (row["decision"], row["agreed"], row["audit"]) == ("escalated", True, "done")
    assert (row["weight"], row["upper_tokens"]) == (2.0, 3)


async def test_what_the_top_answered_whole_needs_no_audit() -> None:
    rig = Rig({"edge:1": chat("No", -2.0)}, TOP, audit_share=0.5)
    await rig.ask()
    [row] = rig.log.rows
    assert (row["agreed"], row["audit"], row["weight"]) == (False, None, 1.0)
    assert len(rig.server.calls) == 1


async def test_an_answer_whose_caller_left_while_it_was_checked_is_told() -> None:
    answers = iter([chat("No"), lambda: FakeAnswer([None], 200, "application/json")])
    rig = Rig({"edge:1": lambda: next(answers)()}, {})
    task = asyncio.create_task(rig.ask(tierflow=SELF_CHECK))
    while len(rig.server.answers) < 2:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    [stage] = rig.told.outcomes[0].stages
    assert (stage.model, stage.tokens, stage.prompt_tokens) == ("rill-edge", 3, 4)


async def test_a_caller_that_leaves_takes_the_samples_along() -> None:
    rig = Rig({"edge:1": lambda: FakeAnswer([None], 200, "application/json")}, {})
    task = asyncio.create_task(rig.ask(tierflow=AGREEMENT))
    while len(rig.server.answers) < 2:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    rig.assert_nothing_left_open()


async def test_a_top_that_is_silent_beyond_the_deadline_leaves_the_small_answer() -> None:
    clock = MonotonicClock()
    rig = Rig({"edge:1": chat("No", -2.0)}, verified(None), clock=clock)
    body = await rig.ask({"deadline_s": 0.4, "received": clock.now()})
    assert body["choices"][0]["message"]["content"] == "No"
    assert about(body)["degraded"] == "deadline_exceeded"
    rig.assert_nothing_left_open()


async def test_a_top_endpoint_that_fails_is_left_for_another() -> None:
    states = [state("edge:1", "edge"), state("cloud:1", "cloud"), state("cloud:2", "cloud")]
    scripts = {
        "cloud:1": lambda: [
            FirstTokenTimeout("no", endpoint="cloud:1", code="first_token_timeout")
        ],
        "cloud:2": TOP["cloud:1"],
    }
    rig = Rig({"edge:1": chat("No", -2.0)}, scripts, states=states)
    body = await rig.ask()
    assert body["choices"][0]["message"]["content"] == "Yes"
    rig.assert_nothing_left_open()


async def test_where_every_tier_fails_the_caller_hears_the_failure() -> None:
    rig = Rig({}, {})
    with pytest.raises(GatewayError) as raised:
        await rig.ask()
    assert raised.value.code in ("no_endpoint", "connect_failed")
    rig.assert_nothing_left_open()


async def test_a_caller_that_leaves_leaves_nothing_behind() -> None:
    rig = Rig({"edge:1": chat("No", -2.0)}, verified(Batch(ids=[5], text="Y"), None))
    task = asyncio.create_task(rig.ask())
    while not rig.verifier.made:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    rig.assert_nothing_left_open()
    assert rig.telemetry.outcomes[-1].kind == "cancelled"


async def test_an_engine_without_log_probabilities_is_never_trusted() -> None:
    rig = Rig({"edge:1": chat("No", tokens=0)}, verified(Batch(ids=[8], reason="stop", text="Yes")))
    rig.server._scripts = {
        **rig.server._scripts,
        "cloud:1": lambda: FakeAnswer(
            [
                b'data: {"choices":[{"index":0,"delta":{"content":"Yes"},'
                b'"finish_reason":"stop"}]}\n\n',
                b"data: [DONE]\n\n",
            ]
        ),
    }
    body = await rig.ask()
    assert body["choices"][0]["message"]["content"] == "Yes"
    assert about(body)["reason"] == "worst-window" or about(body)["reason"] == "confidence"


async def test_a_quality_in_the_header_holds_where_the_body_says_nothing() -> None:
    rig = Rig({"edge:1": chat("No", -0.2)}, TOP)
    strict, loose = {"cascade_quality": 0.99}, {"cascade_quality": 0.9}
    assert about(await rig.ask(strict))["threshold"] == 0.95
    assert about(await rig.ask(loose))["threshold"] == 0.7
    asked: dict[str, Any] = {"cascade": {"quality": 0.95}}
    assert about(await rig.ask(loose, tierflow=asked))["threshold"] == 0.8


async def test_it_answers_chat_alone() -> None:
    rig = Rig({}, {})
    asked = request("tierflow-cascade", path="/v1/completions", body=b"{}")
    with pytest.raises(InvalidRequest) as raised:
        await rig.cascade.answer(asked, {}, ListSink())
    assert raised.value.param == "model"


async def test_a_stream_whose_tokens_nobody_can_judge_waits_for_the_top() -> None:
    def says(*texts: str) -> Callable[[], FakeAnswer]:
        events = [event(text) for text in texts]
        return lambda: FakeAnswer([*events, event("", "stop"), b"data: [DONE]\n\n"])

    rig = Rig({"edge:1": says("N", "o"), "cloud:1": says("Ye", "s")}, {})
    messages = [{"role": "user", "content": "hi"}]
    body = orjson.dumps({"model": "tierflow-cascade", "messages": messages, "stream": True})
    sink = ListSink()
    await rig.cascade.answer(request("tierflow-cascade", body=body, stream=True), {}, sink)
    assert b'"No' not in sink.body and b'"N"' not in sink.body
    assert b'"Ye"' in sink.body and sink.body.endswith(b"data: [DONE]\n\n")
