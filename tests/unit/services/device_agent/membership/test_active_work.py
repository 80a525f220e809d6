"""Work, done over a link that notes every frame: text, budget, deadline, refusals, privacy."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.protocol.device_link import work
from services.device_agent.drafters.onnx import OnnxDrafter
from services.device_agent.drafters.port import DrafterFailed
from services.device_agent.membership.sensors import SensorReading
from services.device_agent.text import TextModel
from tests.servers import SHIPPED_FAMILY
from tests.unit.services.device_agent.membership.active_work_rig import (
    QUESTION,
    SECRET,
    active_work_rig,
)
from tests.unit.services.device_agent.scripted_drafter import ScriptedDrafter, burst

pytestmark = pytest.mark.anyio
FOLDER = SHIPPED_FAMILY / "rill-device"


@pytest.fixture(scope="module")
def model() -> TextModel:
    return TextModel(FOLDER)


@pytest.fixture(scope="module")
def rill(model: TextModel) -> OnnxDrafter:
    return OnnxDrafter(FOLDER / "model.onnx", model.context)


def greedy(model: TextModel, rill: OnnxDrafter, most: int) -> list[Any]:
    """The small model's own guesses, to its end."""
    prompt = model.encode_chat(QUESTION)
    return rill.start().draft(prompt, most, lambda guess: guess.token in model.end_tokens)


@pytest.mark.parametrize("kind", ["generate", "revise"])
async def test_an_answer_is_the_small_models_own(
    model: TextModel, rill: OnnxDrafter, kind: work.Kind
) -> None:
    guesses = greedy(model, rill, 60)
    async with active_work_rig(model, rill) as rig:
        rig.give(1, kind=kind)
        finished = await rig.end(1)
        assert rig.text(1) == model.tokenizer.decode([guess.token for guess in guesses])
        assert (finished.reason, finished.completion_tokens) == ("stop", len(guesses))
        assert finished.prompt_tokens == len(model.encode_chat(QUESTION))
        mean = sum(math.log(guess.probability) for guess in guesses) / len(guesses)
        assert finished.logprob == pytest.approx(mean)
        pieces = rig.of(1, work.Piece)
        assert sum(piece.n for piece in pieces) <= finished.completion_tokens
        assert rig.counted("member_work_total", kind=kind, outcome="stop") == 1
        assert rig.counted("member_tokens_total", kind=kind) == len(guesses)


async def test_the_log_tells_of_work_by_the_id_of_the_request_and_nothing_of_its_text(
    model: TextModel, rill: OnnxDrafter, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tierflow.device")
    async with active_work_rig(model, rill) as rig:
        rig.give(1, id="asked-once/generate", max_tokens=3, ignore_eos=True)
        rig.give(2, id="not\na harmless id", max_tokens=3, ignore_eos=True)
        await rig.end(1)
        await rig.end(2)
        await rig.idle()
        said = rig.text(1)
    lines = [record.getMessage() for record in caplog.records]
    assert "work asked-once/generate: generate, length, 3 tokens" in lines
    assert "work without an id: generate, length, 3 tokens" in lines
    assert not any(said in line for line in lines)


async def test_the_budget_is_kept(model: TextModel, rill: OnnxDrafter) -> None:
    async with active_work_rig(model, rill) as rig:
        rig.give(1, max_tokens=3, ignore_eos=True)
        finished = await rig.end(1)
    assert (finished.reason, finished.completion_tokens) == ("length", 3)


async def test_a_stop_text_ends_the_answer_before_it(model: TextModel, rill: OnnxDrafter) -> None:
    whole = model.tokenizer.decode([guess.token for guess in greedy(model, rill, 60)])
    stop = whole[len(whole) // 2 : len(whole) // 2 + 3]
    async with active_work_rig(model, rill) as rig:
        rig.give(1, stop=[stop])
        finished = await rig.end(1)
        assert rig.text(1) == whole[: whole.index(stop)]
    assert finished.reason == "stop"


async def test_sampled_tokens_have_their_own_probability(
    model: TextModel, rill: OnnxDrafter
) -> None:
    async with active_work_rig(model, rill) as rig:
        rig.give(1, temperature=2.0, seed=3, ignore_eos=True)
        rig.give(2, ignore_eos=True)
        sampled, likeliest = await rig.end(1), await rig.end(2)
    assert sampled.logprob < likeliest.logprob <= 0


async def test_a_character_is_never_split(model: TextModel) -> None:
    said = "naïve 🙂🚀 ż"
    async with active_work_rig(model, ScriptedDrafter(model.encode(said))) as rig:
        rig.give(1)
        await rig.end(1)
        pieces = [piece.text for piece in rig.of(1, work.Piece)]
    assert "".join(pieces) == said
    assert not any("\N{REPLACEMENT CHARACTER}" in piece for piece in pieces)


async def test_several_pieces_of_work_go_on_beside_each_other(model: TextModel) -> None:
    words = model.encode("one two three four five six seven eight nine ten " * 8)
    async with active_work_rig(model, ScriptedDrafter(words), max_work=3) as rig:
        for w in (1, 2, 3):
            rig.give(w, max_tokens=len(words))
        ends = [await rig.end(w) for w in (1, 2, 3)]
        first = rig.frames.index(ends[0])
        assert all(rig.of(w, work.Piece)[0] in rig.frames[:first] for w in (1, 2, 3))
        assert {rig.text(w) for w in (1, 2, 3)} == {model.tokenizer.decode(words)}


async def test_recalled_work_ends_at_once_and_without_a_word(model: TextModel) -> None:
    drafter = ScriptedDrafter(model.encode("word " * 500))
    async with active_work_rig(model, drafter) as rig:
        rig.give(1, max_tokens=500)
        await rig.begun(1)
        drafter.gate.clear()
        rig.active_work.recall(1, rig.send)
        assert rig.active_work.working == 0
        drafter.gate.set()
        rig.give(2, max_tokens=2)
        await rig.end(2)
        assert not rig.of(1, work.Finished) and not rig.of(1, work.Refused)
        assert rig.counted("member_work_total", outcome="recalled") == 1
        rig.active_work.recall(77, rig.send)  # long over, or never there


async def test_the_device_keeps_the_deadline_itself(model: TextModel) -> None:
    drafter = ScriptedDrafter(model.encode("word " * 500))
    drafter.gate.clear()
    async with active_work_rig(model, drafter) as rig:
        rig.give(1, deadline_s=0.05)
        refused = await rig.end(1)
        await rig.idle()
        assert refused.code == "deadline"
        assert rig.counted("member_work_total", outcome="deadline") == 1
        drafter.gate.set()


async def test_a_deadline_that_can_not_be_made_is_refused_before_any_token(
    model: TextModel,
) -> None:
    drafter = ScriptedDrafter(model.encode("word " * 500))
    drafter.step_s = 10.0
    async with active_work_rig(model, drafter) as rig:
        rig.give(1, deadline_s=5.0)
        refused = await rig.end(1)
        assert refused.code == "deadline" and not drafter.bursts
        assert rig.counted("member_refusals_total", code="deadline") == 1


async def test_more_than_it_takes_at_once_is_refused_and_later_taken(model: TextModel) -> None:
    drafter = ScriptedDrafter(model.encode("word " * 500))
    drafter.gate.clear()
    async with active_work_rig(model, drafter, max_work=2) as rig:
        for w in (1, 2, 3):
            rig.give(w, max_tokens=2)
        refused = await rig.end(3)
        assert (refused.code, refused.retry_s > 0) == ("busy", True)
        drafter.gate.set()
        await rig.end(1)
        await rig.end(2)
        await rig.idle()
        with rig.thread.serving_user():
            rig.give(4, max_tokens=2)
            assert isinstance(await rig.end(4), work.Finished)
            await rig.idle()
            with rig.thread.serving_user():
                rig.give(5)
                assert (await rig.end(5)).code == "busy", "the user comes first"


@pytest.mark.parametrize(
    ("reading", "code"), [(SensorReading(95.0), "hot"), (SensorReading(None, 0.2), "battery")]
)
async def test_a_hot_device_and_one_with_little_charge_refuse(
    model: TextModel, rill: OnnxDrafter, reading: SensorReading, code: str
) -> None:
    async with active_work_rig(model, rill) as rig:
        rig.state.update(reading)
        rig.give(1)
        assert (await rig.end(1)).code == code
        rig.state.update(SensorReading())
        rig.give(2)
        assert isinstance(await rig.end(2), work.Finished)
        assert rig.counted("member_work_total", outcome="refused") == 1


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        ([{"role": "user", "content": "long " * 3000}], "too_long"),
        ([{"role": "user", "content": [{"type": "image_url"}]}], "unable"),
        ([{"role": "user", "content": 5}], "unable"),
    ],
)
async def test_messages_that_it_can_not_read_are_refused(
    model: TextModel, rill: OnnxDrafter, messages: list[dict[str, Any]], code: str
) -> None:
    async with active_work_rig(model, rill) as rig:
        rig.give(1, messages=messages)
        refused = await rig.end(1)
    assert refused.code == code
    assert refused.message.startswith("messages: ")


@pytest.mark.parametrize("failure", [DrafterFailed("out of memory"), RuntimeError(SECRET)])
async def test_a_model_that_fails_is_told_and_ends_nothing_else(
    model: TextModel, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    drafter = ScriptedDrafter(model.encode("word " * 10))
    async with active_work_rig(model, drafter) as rig:
        drafter.fails = failure
        rig.give(1)
        refused = await rig.end(1)
        assert refused.code == "unable"
        drafter.fails = None
        rig.give(2, max_tokens=2)
        assert isinstance(await rig.end(2), work.Finished)
    assert SECRET not in caplog.text + refused.message


async def test_a_lost_link_ends_the_work(model: TextModel) -> None:
    async with active_work_rig(model, ScriptedDrafter(model.encode("word " * 500))) as rig:
        rig.lost = True
        rig.give(1, max_tokens=500)
        await rig.idle()
        assert rig.counted("member_work_total", outcome="lost") == 1


async def test_dropped_work_ends_at_once(model: TextModel) -> None:
    drafter = ScriptedDrafter(model.encode("word " * 500))
    drafter.gate.clear()
    async with active_work_rig(model, drafter) as rig:
        rig.give(1, max_tokens=500)
        await asyncio.sleep(0)
        ending = rig.active_work.drop()
        assert rig.active_work.working == 0
        await asyncio.wait(ending)
        drafter.gate.set()
        await rig.thread.draft(drafter.start(), burst([1], 1))
    assert rig.counted("member_work_total", outcome="lost") == 1
    assert drafter.closed == 1


@pytest.fixture(autouse=True)
def no_logs_of_the_question(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.DEBUG)
    yield
    assert SECRET not in caplog.text
