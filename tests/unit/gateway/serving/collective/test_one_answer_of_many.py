from __future__ import annotations

import pytest

from tests.unit.gateway.serving.collective.scene import FakeCalls, Scene

pytestmark = pytest.mark.anyio

THREE = {"maths": "Answer: 42", "code": "Answer: 42", "reading": "Answer: 48"}


async def test_members_answer_and_a_server_model_aggregates() -> None:
    scene = Scene(THREE, FakeCalls("Answer: 42"))
    body = await scene.ask(aggregate="template", members="all", quorum=3)
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
    scene = Scene(THREE)
    await scene.ask(aggregate="template", members="all", quorum=3)
    assert scene.calls.prompt() == (
        "What is 6 times 7?\nOthers answered:\n- 42\n- 42\n- 48\nWhat is the right answer?"
    )


async def test_a_stream_brings_the_aggregators_tokens_as_they_come() -> None:
    scene = Scene(THREE, FakeCalls("six sevens are 42"))
    streamed = await scene.stream(aggregate="template", members="all", quorum=3)
    assert streamed.pieces == ["six", " sevens", " are", " 42"]
    assert streamed.chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert streamed.comments[0].split() == ["selected", "code", "maths", "reading"]
    assert len([c for c in streamed.comments if c.startswith("answered ")]) == 3
    last = streamed.chunks[-1]
    assert last["choices"][0]["finish_reason"] == "stop"
    assert last["tierflow"]["collective"]["decided_by"] == "template"
    assert streamed.data[-1] == "[DONE]"
