"""The top tier: predictions that are verified, models that are not asked twice, failover."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.errors import EngineFailed, FirstTokenTimeout
from tests.unit.gateway.build import state
from tests.unit.gateway.fakes import (
    FakeAnswer,
)
from tests.unit.gateway.serving.cascade.rig import TOP, CascadeRig, about, chat

pytestmark = pytest.mark.anyio


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


async def test_an_unsure_answer_goes_up_with_its_ids_as_drafts() -> None:
    rig = CascadeRig({"edge:1": chat("No", -2.0)}, TOP)
    body = await rig.ask()
    assert body["choices"][0]["message"]["content"] == "Yes"
    [made] = rig.verifier.made
    assert made.drafts[0] == (0, [5, 6, 7], [])
    assert (about(body)["predicted_tokens"], about(body)["kept_tokens"]) == (3, 2)
    assert body["usage"]["completion_tokens"] == 3 + 3
    rig.assert_nothing_left_open()


WHOSE: dict[str, Any] = {
    "cache_salt": "of this tenant alone",
    "priority": 3,
    "user": "u1",
    "session_id": "s1",
}


async def test_each_call_says_whose_it_is_and_who_may_share_its_cached_prompt() -> None:
    answers = iter([chat("No", -2.0), chat("no")])
    rig = CascadeRig({"edge:1": lambda: next(answers)()}, TOP)
    checked = {"cascade": {"confidence": "self-check"}}
    body = await rig.ask(**WHOSE, temperature=0, tierflow=checked)
    assert about(body)["prediction"] == "verified"
    draft, check = (orjson.loads(call[2]) for call in rig.server.calls)
    [job] = rig.verifier.jobs
    for asked in (draft, check, job.sampling):
        assert {name: asked.get(name) for name in WHOSE} == WHOSE


async def test_samples_have_the_callers_cache_salt() -> None:
    rig = CascadeRig({"edge:1": chat("No", -2.0)}, TOP)
    await rig.ask(cache_salt="salt", tierflow={"cascade": {"confidence": "agreement"}})
    assert [orjson.loads(call[2])["cache_salt"] for call in rig.server.calls] == ["salt"] * 2


async def test_ids_of_another_tokenizer_are_never_offered() -> None:
    states = [state("edge:1", "edge", tokenizer="f"), state("cloud:1", "cloud", tokenizer="g")]
    stream = b'data: {"choices":[{"index":0,"delta":{"content":"Yes"},"finish_reason":"stop"}]}\n\n'
    rig = CascadeRig(
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
    rig = CascadeRig(
        {"edge:1": lambda: FakeAnswer([orjson.dumps(answer)], 200, "application/json")}, TOP
    )
    await rig.ask()
    assert rig.verifier.made[0].drafts == [(0, [5], [])]


async def test_an_answer_that_the_top_gave_for_a_lower_tier_stands() -> None:
    """The edge is down, so its virtual model went over to the cloud."""
    rig = CascadeRig({"cloud:1": chat("Yes", -2.0)}, {})
    body = await rig.ask()
    assert body["choices"][0]["message"]["content"] == "Yes"
    assert about(body)["stages"][0]["decision"] == "answered"
    assert not about(body)["escalated"] and rig.cascades.outcomes[0].tier == "cloud"


async def test_no_model_is_asked_a_second_time_as_the_top() -> None:
    """The cloud is down: its virtual model would go over to the edge, which has answered."""
    states = [state("edge:1", "edge"), state("cloud:1", "cloud", healthy=False)]
    rig = CascadeRig({"edge:1": chat("No", -2.0)}, {}, states=states)
    body = await rig.ask()
    assert body["choices"][0]["message"]["content"] == "No"
    assert about(body)["degraded"] == "no_endpoint" and len(rig.server.calls) == 1


async def test_tokens_of_a_top_that_is_left_at_a_stop_text_are_counted() -> None:
    """Asked plainly, as the tokenizers differ; what flowed before goes along as text."""
    states = [state("edge:1", "edge", tokenizer="f"), state("cloud:1", "cloud", tokenizer="g")]
    broken = EngineFailed("no", endpoint="edge:1", code="engine_error")
    small: list[Any] = [event("", prompt_token_ids=[1, 2, 3, 4]), *[sure("a", 7)] * 12, broken]
    large = [event("", prompt_token_ids=[1, 2, 3]), event("b"), event("c"), event("|"), event("d")]
    rig = CascadeRig(
        {"edge:1": lambda: FakeAnswer(small), "cloud:1": lambda: FakeAnswer(large)},
        {},
        states=states,
    )
    body = await rig.stream(stop=["|"])
    assert body.text == "a" * 5 + "bc"
    assert [stage["tokens"] for stage in body.about["stages"]] == [12, 3]
    assert body.usage == _usage(4 + 3, 12 + 3)
    rig.assert_nothing_left_open()


async def test_a_top_endpoint_that_fails_is_left_for_another() -> None:
    states = [state("edge:1", "edge"), state("cloud:1", "cloud"), state("cloud:2", "cloud")]
    scripts = {
        "cloud:1": lambda: [
            FirstTokenTimeout("no", endpoint="cloud:1", code="first_token_timeout")
        ],
        "cloud:2": TOP["cloud:1"],
    }
    rig = CascadeRig({"edge:1": chat("No", -2.0)}, scripts, states=states)
    body = await rig.ask()
    assert body["choices"][0]["message"]["content"] == "Yes"
    rig.assert_nothing_left_open()
