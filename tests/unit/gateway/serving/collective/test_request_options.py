from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from gateway.core.access.key import Scope
from gateway.errors import EmbeddingFailed, InvalidRequest, OutOfScope, UnknownModel
from tests.unit.gateway.build import request
from tests.unit.gateway.serving.collective.rig import CollectiveRig, FakeCalls, chat

pytestmark = pytest.mark.anyio

USER = {"role": "user", "content": "hi"}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"n": 2}, "n"),
        ({"tools": [{"function": {"name": "f"}}]}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"response_format": 3}, "response_format"),
        ({"logprobs": True}, "logprobs"),
        ({"prompt_logprobs": 0}, "prompt_logprobs"),
        ({"echo": True}, "echo"),
        ({"min_tokens": 3}, "min_tokens"),
        ({"stop_token_ids": [5]}, "stop_token_ids"),
        ({"skip_special_tokens": False}, "skip_special_tokens"),
        ({"chat_template_kwargs": {"thinking": False}}, "chat_template_kwargs"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "messages"),
        ({"messages": [USER] * 65}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}, USER]}, "messages.0.role"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "messages.0.content",
        ),
        ({"messages": [{"role": "user", "content": 3}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": "x" * 40_000}]}, "messages"),
        ({"temperature": 3}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"seed": 1.5}, "seed"),
        ({"stop": ["x"] * 5}, "stop"),
        ({"stream_options": [1]}, "stream_options"),
        ({"tierflow": 3}, "tierflow"),
        ({"tierflow": {"cascade": {}}}, "tierflow.cascade"),
    ],
)
async def test_what_can_not_be_done_is_refused_by_name(body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        await CollectiveRig({}).send(chat(body=body))
    assert raised.value.param == param
    assert raised.value.message.startswith(param)


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"rounds": 4}, "rounds"),
        ({"max_members": 17}, "max_members"),
        ({"quorum": 0}, "quorum"),
        ({"deadline_ms": 0}, "deadline_ms"),
        ({"members": "some"}, "members"),
        ({"aggregate": "best"}, "aggregate"),
        ({"surprise": 1}, "surprise"),
        ({"self_moa": {"samples": 99}}, "self_moa.samples"),
        ({"final": "own"}, "final"),
        ({"template": "none@1"}, "template"),
        ({"aggregator": "tierflow-collective"}, "aggregator"),
        ({"mode": "self-moa", "self_moa": {"model": "a", "device": "b"}}, "self_moa"),
        ({"mode": "self-moa", "max_cost": 1.0}, "max_cost"),
        ({"mode": "self-moa", "members": ["a"]}, "members"),
        ({"mode": "self-moa", "tags": ["maths"]}, "tags"),
        ({"mode": "self-moa", "max_members": 3}, "max_members"),
    ],
)
async def test_options_are_refused_by_name(options: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        await CollectiveRig({}).send(chat(**options))
    assert str(raised.value.param).startswith(f"tierflow.collective.{param}")


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"aggregator": "nobody"}, "aggregator"),
        ({"mode": "self-moa", "self_moa": {"model": "nobody"}}, "self_moa.model"),
    ],
)
async def test_unknown_models_are_refused_by_name(options: dict[str, Any], param: str) -> None:
    with pytest.raises(UnknownModel) as raised:
        await CollectiveRig({}).send(chat(**options))
    assert raised.value.param == f"tierflow.collective.{param}"


async def test_only_chat_is_answered() -> None:
    with pytest.raises(InvalidRequest) as raised:
        await CollectiveRig({}).send(request("tierflow-collective", path="/v1/completions"))
    assert raised.value.code == "invalid_route"


async def test_fields_that_change_nothing_are_taken() -> None:
    fields = {
        "metadata": {"a": "b"},
        "store": True,
        "response_format": {"type": "text"},
        "parallel_tool_calls": True,
        "skip_special_tokens": True,
        "min_tokens": 0,
        "n": 1,
    }
    sink = await CollectiveRig({"a": "Answer: 1"}).send(chat(body=fields))
    assert sink.status == 200


async def test_the_server_model_uses_the_penalties() -> None:
    rig = CollectiveRig({"a": "Answer: 1", "b": "Answer: 2"})
    await rig.send(chat(body={"repetition_penalty": 1.5, "presence_penalty": 1}))
    assert rig.calls.calls[-1].body["repetition_penalty"] == 1.5
    assert rig.calls.calls[-1].body["presence_penalty"] == 1


NOTICED: dict[str, Any] = {
    "allowed_token_ids": [5], "bad_words": ["x"], "chat_template": "{{ messages }}",
    "continue_final_message": True, "documents": [{"text": "x"}], "include_reasoning": False,
    "kv_transfer_params": {"a": 1}, "length_penalty": 2.0, "logits_processors": ["x"],
    "media_io_kwargs": {"image": {"a": 1}}, "mm_processor_kwargs": {"a": 1},
    "reasoning_effort": "low", "repetition_detection": {"max_pattern_size": 4},
    "return_mm_kwargs": True, "return_prompt_text": True, "return_token_ids": True,
    "return_token_offsets": True, "stream_interval": 4, "thinking_token_budget": 0,
    "truncate_prompt_tokens": 8, "truncation_side": "left", "vllm_xargs": {"a": 1},
    "watermarking": True,
}  # fmt: skip


@pytest.mark.parametrize("name", NOTICED)
async def test_a_field_that_only_an_engine_heeds_is_refused_by_name(name: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        await CollectiveRig({"a": "Answer: 1"}).send(chat(body={name: NOTICED[name]}))
    assert (raised.value.param, raised.value.code) == (name, "invalid_parameter")


async def test_a_field_that_nobody_knows_is_passed_over_as_engines_do() -> None:
    sink = await CollectiveRig({"a": "Answer: 1"}).send(chat(body={"x_own_field": 1}))
    assert sink.status == 200


async def test_each_chunk_counts_where_that_is_asked_for() -> None:
    rig = CollectiveRig({"a": "Answer: 1", "b": "Answer: 2"})
    options = {"include_usage": True, "continuous_usage_stats": True}
    chunks = (await rig.stream(body={"stream_options": options})).chunks
    totals = [chunk["usage"]["total_tokens"] for chunk in chunks]
    assert totals == sorted(totals) and totals[-1] > 0


async def test_the_server_model_is_told_whose_the_request_is() -> None:
    rig = CollectiveRig({"a": "Answer: 1", "b": "Answer: 2"})
    whose = {"cache_salt": "of this tenant", "priority": 3, "user": "u1", "session_id": "s1"}
    await rig.send(chat(body=whose))
    assert {name: rig.calls.calls[-1].body.get(name) for name in whose} == whose


async def test_a_question_with_a_cache_salt_is_shown_to_no_embedder() -> None:
    class Embedders:
        name = "none"

        async def embed(self, texts: Any) -> Any:
            raise AssertionError("its vectors would be kept for other callers")

    rig = CollectiveRig({"a": "Answer: 1"}, embedder=Embedders())
    assert (await rig.send(chat(body={"cache_salt": "of this tenant"}))).status == 200


async def test_earlier_messages_go_to_members_and_server_as_they_are() -> None:
    system = {"role": "system", "content": "Be brief."}
    messages = [system, {"role": "user", "content": [{"type": "text", "text": "Two?"}]}]
    rig = CollectiveRig({"a": "Answer: 1", "b": "Answer: 2"})
    await rig.send(chat(body={"messages": messages, "temperature": 0.5, "stop": "#"}))
    order = rig.members.orders[0][1]
    assert order.messages == [system, {"role": "user", "content": "Two?"}]
    assert order.sampling == {"temperature": 0.5, "stop": ["#"]}
    assert rig.calls.calls[0].body["messages"][0] == system
    assert rig.calls.calls[0].body["temperature"] == 0.5


async def test_tags_and_names_narrow_the_choice() -> None:
    fields = {"a": {"tags": frozenset({"code"})}, "b": {"tags": frozenset({"maths"})}}
    says = {"a": "Answer: 1", "b": "Answer: 1", "c": "Answer: 1"}
    by_tag = CollectiveRig(says, fields=fields)
    await by_tag.ask(tags=["maths"])
    assert by_tag.members.devices() == ["b"]
    by_name = CollectiveRig(says, fields=fields)
    await by_name.ask(members=["c", "a", "nobody"])
    assert sorted(by_name.members.devices()) == ["a", "c"]


async def test_a_name_that_no_device_has_is_told_with_the_nearest_one() -> None:
    fields = {"kitchen": {}, "hidden": {"privacy": "private"}}
    rig = CollectiveRig({"kitchen": "Answer: 1", "hidden": "Answer: 2"}, fields=fields)
    body = await rig.ask(members=["kitchen", "kitchn", "hiden"])
    about = body["tierflow"]["collective"]
    assert about["unknown_members"] == {"kitchn": "kitchen", "hiden": None}
    assert "unknown_members" not in (await rig.ask(members=["kitchen"]))["tierflow"]["collective"]


async def test_all_members_together_keep_to_the_token_cap() -> None:
    rig = CollectiveRig(dict.fromkeys("abcd", "Answer: 1"))
    await rig.ask(max_tokens=400)
    assert 1 <= len(rig.members.orders) <= 4
    assert sum(order.max_tokens for _, order in rig.members.orders) <= 400


async def test_the_cap_is_for_prompts_as_well() -> None:
    rig = CollectiveRig(dict.fromkeys("ab", "Answer: 1"))
    question = "word " * 160
    await rig.send(chat(question, members="all", max_tokens=700))
    assert len(rig.members.orders) == 2
    assert all(order.max_tokens <= 350 - 200 for _, order in rig.members.orders)


async def test_a_cap_on_the_cost_bounds_what_each_may_say() -> None:
    rig = CollectiveRig(dict.fromkeys("ab", "Answer: 1"), prices={"device": 1.0})
    await rig.ask(members="all", max_cost=0.3)
    assert len(rig.members.orders) == 2
    assert sum(order.max_tokens for _, order in rig.members.orders) <= 300


class Broken:
    name = "broken"

    async def embed(self, texts: Any) -> Any:
        raise EmbeddingFailed("no", code="embedding_broken")


class Letters:
    """As close as the letters that two texts begin with."""

    name = "letters"

    async def embed(self, texts: Any) -> Any:
        return [[float(text.casefold().startswith(c)) for c in "wz"] for text in texts]


async def test_the_closest_descriptions_are_asked() -> None:
    fields = {"far": {"description": "zebras"}, "near": {"description": "words"}}
    rig = CollectiveRig(
        {"far": "Answer: 1", "near": "Answer: 2"}, fields=fields, embedder=Letters()
    )
    await rig.ask(max_members=1)
    assert rig.members.devices() == ["near"]


async def test_words_are_compared_when_the_embedder_fails() -> None:
    fields = {"far": {"description": "paints"}, "near": {"description": "what 6 times 7 is"}}
    rig = CollectiveRig({"far": "Answer: 1", "near": "Answer: 2"}, fields=fields, embedder=Broken())
    await rig.ask(max_members=1)
    assert rig.members.devices() == ["near"]
    assert rig.collectives.unembedded == ["broken"]


async def test_usage_ends_a_stream_where_it_was_asked_for() -> None:
    rig = CollectiveRig({"a": "Answer: 1", "b": "Answer: 2"}, FakeCalls("Answer: 1"))
    sink = await rig.send(chat(stream=True, body={"stream_options": {"include_usage": True}}))
    last = sink.body.decode().split("\n\n")[-3]
    assert orjson.loads(last.removeprefix("data: "))["usage"]["completion_tokens"] == 30


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"aggregator": "big"}, "aggregator"),
        ({"mode": "self-moa", "self_moa": {"model": "big", "samples": 2}}, "self_moa.model"),
    ],
)
async def test_a_key_names_no_model_that_it_is_not_for(options: dict[str, Any], field: str) -> None:
    asked = chat(**options)
    scope = Scope(models=frozenset({"tierflow-collective", "rill-edge"}))
    caller = replace(asked.caller, key="team-a", scope=scope)
    with pytest.raises(OutOfScope) as raised:
        await CollectiveRig({}).send(replace(asked, caller=caller))
    assert raised.value.code == "model_not_allowed"
    assert raised.value.param == f"tierflow.collective.{field}"
