"""The top tier's engine breaks in the middle of its answer: another endpoint goes on with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import orjson
import pytest

from gateway.core.speculation.job import Batch
from gateway.errors import EngineFailed
from tests.unit.gateway.build import state
from tests.unit.gateway.fakes import FakeAnswer, ListSink, StreamedReply, VerifiedPiece, at_first
from tests.unit.gateway.serving.cascade.rig import CascadeRig, about, chat

pytestmark = pytest.mark.anyio
REST: list[VerifiedPiece] = [Batch(ids=[8], reason="stop", text="s")]
RESUMED = [("cascade", "resumed", "engine_disconnected")]


def broke() -> EngineFailed:
    return EngineFailed("broke", endpoint="cloud:1", code="engine_disconnected")


def unsure_stream() -> FakeAnswer:
    logprobs = {"content": [{"token": "t", "logprob": -2.0}] * 3}
    choice = {"index": 0, "delta": {"content": "No"}, "token_ids": [5, 6, 7], "logprobs": logprobs}
    event = orjson.dumps({"choices": [{**choice, "finish_reason": "stop"}]})
    return FakeAnswer([b"data: " + event + b"\n\n", b"data: [DONE]\n\n"])


def two_tops(
    first: Sequence[VerifiedPiece],
    second: Sequence[VerifiedPiece] = REST,
    lower: Callable[[], FakeAnswer] | None = None,
    **second_state: Any,
) -> CascadeRig:
    """The lower answer is the ids 5, 6 and 7, and unsure."""
    other = {"waiting": 5, **second_state}
    states = [state("edge:1"), state("cloud:1", "cloud"), state("cloud:2", "cloud", **other)]
    scripts = {"cloud:1": at_first(first, [broke()]), "cloud:2": lambda: second}
    return CascadeRig({"edge:1": lower or chat("No", -2.0)}, scripts, states=states)


async def test_another_endpoint_goes_on_from_what_was_made() -> None:
    rig = two_tops([Batch(ids=[5, 6], text="Ye"), broke()])
    rig.verifier.usage = (4, 1)
    body = await rig.ask(max_tokens=20, seed=7)
    assert body["choices"][0]["message"]["content"] == "Yes"
    first, second = rig.verifier.jobs
    assert second.prompt == [*first.prompt, 5, 6]
    assert second.sampling == {**first.sampling, "max_tokens": 18, "seed": 9}
    assert about(body)["degraded"] is None
    assert (about(body)["predicted_tokens"], about(body)["kept_tokens"]) == (3, 2)
    assert body["usage"] == {"prompt_tokens": 4 + 2, "completion_tokens": 6, "total_tokens": 12}
    assert rig.telemetry.resumptions == RESUMED
    rig.assert_nothing_left_open()


async def test_the_rest_of_the_prediction_goes_along() -> None:
    rig = two_tops([Batch(ids=[5], text="Y"), broke()], [Batch(ids=[6, 7], text="es"), *REST])
    await rig.ask()
    first, second = rig.verifier.made
    assert (first.drafts, second.drafts) == ([(0, [5, 6, 7], [])], [(0, [6, 7], [])])


async def test_the_caller_sees_one_stream() -> None:
    rig = two_tops([Batch(ids=[5, 6], text="Ye"), broke()], lower=unsure_stream)
    body = await rig.stream()
    assert body.pieces == ["Ye", "s"]
    assert body.data[-1] == "[DONE]"
    assert rig.telemetry.resumptions == RESUMED


async def test_ids_whose_letter_is_not_complete_are_made_once_more() -> None:
    rig = two_tops(
        [Batch(ids=[5], text="Y"), Batch(ids=[6]), broke()],
        [Batch(ids=[6]), Batch(ids=[8], reason="stop", text="é")],
    )
    body = await rig.ask()
    assert body["choices"][0]["message"]["content"] == "Yé"
    assert rig.verifier.jobs[1].prompt == [*rig.verifier.jobs[0].prompt, 5]
    assert body["usage"]["completion_tokens"] == 3 + 3


async def test_a_stop_text_that_two_endpoints_write_together_ends_the_answer() -> None:
    rig = two_tops(
        [Batch(ids=[5], text="Yes. E"), broke()],
        [Batch(ids=[8], text="ND"), Batch(ids=[9], text="?")],
    )
    body = await rig.ask(stop=["END"])
    (choice,) = body["choices"]
    assert choice["message"]["content"] == "Yes. "
    assert (choice["finish_reason"], choice["stop_reason"]) == ("stop", "END")


async def test_an_answer_that_was_complete_is_given_though_its_engine_breaks() -> None:
    rig = two_tops([Batch(ids=[5], text="Yes", reason="stop"), broke()])
    body = await rig.ask()
    assert body["choices"][0]["message"]["content"] == "Yes"
    assert len(rig.verifier.jobs) == 1 and rig.telemetry.resumptions == []


async def test_an_answer_of_the_full_length_needs_no_other_endpoint() -> None:
    rig = two_tops([Batch(ids=[5, 6], text="Ye"), broke()])
    body = await rig.ask(max_tokens=2)
    (choice,) = body["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("Ye", "length")
    assert len(rig.verifier.jobs) == 1


@pytest.mark.parametrize(
    ("second", "fields"),
    [
        ({"model": "other"}, {}),
        ({"tokenizer": "g"}, {}),
        ({}, {"presence_penalty": 0.5}),
    ],
)
async def test_what_nobody_can_go_on_with_leaves_the_lower_answer_to_a_caller_who_has_nothing(
    second: dict[str, Any], fields: dict[str, Any]
) -> None:
    rig = two_tops([Batch(ids=[5, 6], text="Ye"), broke()], **second)
    body = await rig.ask(**fields)
    assert body["choices"][0]["message"]["content"] == "No"
    assert about(body)["degraded"] == "engine_disconnected"
    rig.assert_nothing_left_open()


async def test_a_stream_that_nobody_can_go_on_with_ends_with_one_error() -> None:
    rig = two_tops([Batch(ids=[5, 6], text="Ye"), broke()], lower=unsure_stream, model="other")
    sink = ListSink()
    await rig.ask_into(sink, stream=True)
    assert sink.failure is not None and sink.failure.code == "engine_disconnected"
    assert StreamedReply(sink).text == "Ye"
    assert rig.telemetry.resumptions == [("cascade", "failed", "engine_disconnected")]


async def test_an_escalation_that_waits_at_an_engine_that_goes_down_is_moved() -> None:
    rig = two_tops([None], [Batch(ids=[5, 6, 8], reason="stop", text="Yes")])
    asked = asyncio.ensure_future(rig.ask())
    while not rig.states[1].waits:
        await asyncio.sleep(0)
    rig.states[1].healthy = False
    rig.states[1].lost()
    body = await asked
    assert body["choices"][0]["message"]["content"] == "Yes"
    assert ("cloud", "endpoint_down") in rig.telemetry.retries
    rig.assert_nothing_left_open()
