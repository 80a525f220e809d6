"""What a cascade tells of its engines beside the answer: token ids, the prompt, counts."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.serving.cascade.options import StageSpec
from tests.unit.gateway.build import state
from tests.unit.gateway.fake_members import FakeMembers
from tests.unit.gateway.fakes import FakeAnswer
from tests.unit.gateway.serving.cascade.rig import EDGE_CLOUD, TOP, CascadeRig, about, chat

pytestmark = pytest.mark.anyio

DETAILS = {"prompt_tokens_details": {"cached_tokens": 2}}
TOLD = {"prompt_token_ids": [1, 2, 3, 4], "prompt_text": "<user> hi"}


def engine(text: str, logprob: float = -0.001) -> Any:
    """An answer that tells the prompt, and where its tokens came from."""
    body = orjson.loads(chat(text, logprob)()._pieces[0])
    body |= TOLD
    body["usage"] |= DETAILS
    return lambda: FakeAnswer([orjson.dumps(body)], 200, "application/json")


def streamed(text: str) -> Any:
    choice = {"index": 0, "delta": {"content": text}, "token_ids": [7, 8], "finish_reason": "stop"}
    usage = {"prompt_tokens": 4, "completion_tokens": 2, **DETAILS}
    events = [{"choices": [choice], **TOLD}, {"choices": [], "usage": usage}]
    data = b"".join(b"data: " + orjson.dumps(event) + b"\n\n" for event in events)
    return lambda: FakeAnswer([data, b"data: [DONE]\n\n"])


async def test_a_body_has_the_ids_of_the_prompt_and_of_the_tier_that_answered() -> None:
    rig = CascadeRig({"edge:1": engine("No", -2.0)}, TOP)
    body = await rig.ask(return_token_ids=True)
    assert about(body)["prediction"] == "verified"
    assert body["choices"][0]["token_ids"] == [5, 6, 8]
    assert body["prompt_token_ids"] == [ord(letter) for letter in "hi"]
    assert (await rig.ask())["prompt_token_ids"] is None


async def test_a_stream_begins_with_the_prompts_ids() -> None:
    stream = await CascadeRig({"edge:1": engine("Yes")}, {}).stream(
        return_token_ids=True, tierflow={"cascade": {"stream_mode": "exact"}}
    )
    assert stream.chunks[0]["prompt_token_ids"] == [1, 2, 3, 4]
    ids = [choice.get("token_ids") for chunk in stream.chunks for choice in chunk["choices"]]
    assert [token for some in ids for token in some or ()] == [5, 6, 7]


async def test_the_prompts_text_comes_back_from_the_top_tier() -> None:
    rig = CascadeRig({"edge:1": engine("No", -2.0), "cloud:1": streamed("Yes")}, {})
    body = await rig.ask(return_prompt_text=True)
    assert (body["prompt_text"], body["prompt_token_ids"]) == ("<user> hi", None)
    stream = await rig.stream(return_prompt_text=True)
    assert stream.chunks[0]["prompt_text"] == "<user> hi"


async def test_a_device_is_passed_over_where_token_ids_are_asked_for() -> None:
    stages = (StageSpec(devices=("any",)), *EDGE_CLOUD[1:])
    members = FakeMembers({"phone": "Yes"})
    rig = CascadeRig({"cloud:1": streamed("Yes")}, {}, stages=stages, members=members)
    body = await rig.ask(return_token_ids=True)
    assert members.orders == [] and body["choices"][0]["token_ids"] == [7, 8]


async def test_counts_have_their_details_where_one_call_made_them_all() -> None:
    body = await CascadeRig({"edge:1": engine("Yes")}, {}).ask()
    assert body["usage"]["prompt_tokens_details"] == {"cached_tokens": 2}
    above = CascadeRig({"edge:1": engine("No", -2.0), "cloud:1": streamed("Yes")}, {})
    assert "prompt_tokens_details" not in (await above.ask(bad_field={"a": 1}))["usage"]
    down = [state("edge:1", "edge", healthy=False), state("cloud:1", "cloud")]
    alone = CascadeRig({"cloud:1": engine("Yes")}, {}, states=down)
    assert (await alone.ask())["usage"]["prompt_tokens_details"] == {"cached_tokens": 2}


async def test_each_chunk_counts_all_tiers_where_that_is_asked_for() -> None:
    rig = CascadeRig({"edge:1": engine("No", -2.0)}, TOP)
    stream = await rig.stream(
        stream_options={"include_usage": True, "continuous_usage_stats": True},
        tierflow={"cascade": {"stream_mode": "exact"}},
    )
    made = [chunk["usage"]["completion_tokens"] for chunk in stream.chunks]
    assert made == sorted(made) and made[0] >= 3 and made[-1] == 6
