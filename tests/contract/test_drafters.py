"""What every drafter keeps: greedy, the same after any roll-back, and nothing read twice."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.device_agent.drafters.emulation import NoisyDrafter
from services.device_agent.drafters.engine import EngineDrafter
from services.device_agent.drafters.onnx import OnnxDrafter, OnnxStream
from services.device_agent.drafters.port import Drafter, DrafterFailed, Guess
from services.device_agent.drafters.registry import open_drafter
from services.device_agent.drafters.step_time import StepTime
from services.device_agent.text import TextModel
from tests.engines import Engines
from tests.servers import SHIPPED_FAMILY
from tests.unit.services.model_family.engine_environment import python

FOLDER = SHIPPED_FAMILY / "rill-device"
CONTEXT = 2048
QUESTIONS = ["What is 12 + 30?", "Tell me about the river and the town.", "Count from 3 to 9."]
MODEL = TextModel(FOLDER)
PROMPTS = [MODEL.encode_chat([{"role": "user", "content": each}]) for each in QUESTIONS]


@dataclass
class Case:
    """`ends` where the drafter stops by itself: an engine at the end of the text."""

    drafter: Drafter
    keeps: bool = True
    ends: bool = False

    def guesses(self, text: list[int], count: int) -> list[Guess]:
        stream = self.drafter.start()
        try:
            return stream.draft(text, count, never)
        finally:
            stream.close()

    def ids(self, text: list[int], count: int) -> list[int]:
        return [guess.token for guess in self.guesses(text, count)]


def never(guess: Guess) -> bool:
    return False


@pytest.fixture(
    scope="module",
    params=[
        "onnx",
        "noisy",
        "llama",
        pytest.param("vllm", marks=[pytest.mark.integration, pytest.mark.engine("edge")]),
    ],
)
def case(request: pytest.FixtureRequest, engines: Engines) -> Iterator[Case]:
    made = build(request.param, engines)
    yield made
    made.drafter.close()


def build(kind: str, engines: Engines) -> Case:
    onnx = OnnxDrafter(FOLDER / "model.onnx", CONTEXT)
    if kind == "onnx":
        return Case(onnx)
    if kind == "noisy":
        return Case(NoisyDrafter(onnx, 0.3, MODEL.vocabulary))
    if kind == "llama":
        pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed")
        gguf = os.environ.get("TIERFLOW_TEST_GGUF")
        if not gguf:
            pytest.skip("TIERFLOW_TEST_GGUF names no folder with a model of llama.cpp")
        return Case(open_drafter("llama", Path(gguf), context=CONTEXT))
    # A larger model of the family: its tokens and its context are the device's own.
    url = engines.get("edge").server.url
    return Case(EngineDrafter(url, None, CONTEXT), keeps=False, ends=True)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_greedy_drafts_are_the_same_each_time(case: Case, prompt: list[int]) -> None:
    first = case.ids(prompt, 16)
    assert first and first == case.ids(prompt, 16)
    assert all(0 <= guess.probability <= 1.0001 for guess in case.guesses(prompt, 16))


@settings(max_examples=20)
@given(data=st.data())
def test_after_a_roll_back_drafts_are_those_of_a_fresh_stream(
    case: Case, data: st.DataObject
) -> None:
    """To any position, with any other text after it, as often as one likes."""
    stream = case.drafter.start()
    text = list(data.draw(st.sampled_from(PROMPTS)))
    for _ in range(4):
        kept = data.draw(st.integers(1, len(text)))
        other = data.draw(st.lists(st.integers(7, 1000), max_size=3))
        text = [*text[:kept], *other]
        again = [guess.token for guess in stream.draft(text, 4, never)]
        assert again == case.ids(text, 4)
        text += again[: data.draw(st.integers(0, 4))]
    stream.close()


def test_drafting_in_two_goes_is_drafting_in_one(case: Case) -> None:
    whole = case.ids(PROMPTS[0], 12)
    stream = case.drafter.start()
    head = [guess.token for guess in stream.draft(PROMPTS[0], min(4, len(whole)), never)]
    tail = [guess.token for guess in stream.draft([*PROMPTS[0], *head], 8, never)]
    assert [*head, *tail][: len(whole)] == whole
    stream.close()


def test_two_streams_do_not_mix(case: Case) -> None:
    streams = [case.drafter.start() for _ in PROMPTS]
    texts = [list(prompt) for prompt in PROMPTS]
    for _ in range(3):
        for stream, text in zip(streams, texts, strict=True):
            text += [guess.token for guess in stream.draft(text, 1, never)]
    said = [text[len(prompt) :] for text, prompt in zip(texts, PROMPTS, strict=True)]
    assert [case.ids(prompt, 3) for prompt in PROMPTS] == said


def test_count_and_stop_are_kept_to(case: Case) -> None:
    whole = case.ids(PROMPTS[1], 6)
    assert len(case.ids(PROMPTS[1], 1)) == 1
    assert len(whole) == 6 or case.ends
    asked: list[int] = []

    def second(guess: Guess) -> bool:
        asked.append(guess.token)
        return len(asked) == 2

    guesses = case.drafter.start().draft(PROMPTS[1], 6, second)
    assert [guess.token for guess in guesses] == whole[:2] == asked


def test_a_full_context_gives_fewer_tokens_and_no_failure(case: Case) -> None:
    text = (PROMPTS[0] * CONTEXT)[:CONTEXT]
    assert case.guesses(text, 4) == []
    assert case.guesses(text + text, 4) == []
    assert 1 <= len(case.guesses(text[:-2], 8)) <= 2
    assert len(case.guesses(text[:-1], 8)) == 1
    assert case.guesses([], 4) == []


def test_what_was_read_is_not_read_again(case: Case) -> None:
    stream = case.drafter.start()
    stream.draft(PROMPTS[0], 5, never)
    assert stream.cached >= len(PROMPTS[0])
    stream.draft(PROMPTS[0][:5], 1, never)
    assert stream.cached >= 5
    if case.keeps:
        assert stream.cached == 5


def test_a_step_takes_a_time(case: Case) -> None:
    case.guesses(PROMPTS[0], 8)
    assert case.drafter.step_s > 0
    assert case.drafter.context == CONTEXT
    assert case.drafter.name


# --- ONNX: what is run how often, and what comes out ---


class Counting:
    """Counts the tokens of each run of the model."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.runs: list[int] = []
        read = OnnxStream._read

        def counted(stream: OnnxStream, tokens: list[int]) -> object:
            self.runs.append(len(tokens))
            return read(stream, tokens)

        monkeypatch.setattr(OnnxStream, "_read", counted)

    def taken(self) -> list[int]:
        runs, self.runs = self.runs, []
        return runs


def test_one_run_gives_one_token_and_what_stands_is_never_run_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counting, prompt = Counting(monkeypatch), PROMPTS[1]
    stream = OnnxDrafter(FOLDER / "model.onnx", CONTEXT).start()
    drafted = [guess.token for guess in stream.draft(prompt, 4, never)]
    assert counting.taken() == [len(prompt), 1, 1, 1]
    stream.draft([*prompt, *drafted], 4, never)
    assert counting.taken() == [1, 1, 1, 1], "its last token alone was unread"
    stream.draft([*prompt, *drafted[:2], 77], 2, never)
    assert counting.taken() == [1, 1], "a wrong guess costs reading the right one"
    stream.draft([*prompt, *drafted[:1]], 1, never)
    assert counting.taken() == [1], "the logits of a position are kept by nobody"


def test_long_texts_are_read_in_parts_to_the_same_end(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (PROMPTS[1] * 100)[:1100]
    drafter = OnnxDrafter(FOLDER / "model.onnx", CONTEXT)
    counting = Counting(monkeypatch)
    at_once = [guess.token for guess in drafter.start().draft(text, 4, never)]
    assert counting.taken() == [512, 512, 76, 1, 1, 1]
    slowly = drafter.start()
    for end in range(100, 1100, 100):
        slowly.draft(text[:end], 1, never)
    assert [guess.token for guess in slowly.draft(text, 4, never)] == at_once


def test_time_is_that_of_single_tokens() -> None:
    step_time = StepTime(1.0)
    timer = step_time.start()
    timer.step(500)
    timer.stop()
    assert step_time.seconds == 1.0, "a long reading is no draft step"
    timer = step_time.start()
    timer.step(1)
    timer.stop()
    assert step_time.seconds < 1.0


REFERENCE = """
import json, sys, torch
from transformers import AutoModelForCausalLM
torch.set_num_threads(1)
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32).eval()
found = []
for prompt in json.loads(sys.argv[2]):
    ids = list(prompt)
    with torch.no_grad():
        for _ in range(40):
            row = model(torch.tensor([ids])).logits[0, -1]
            ids.append(int(row.argmax()))
    found.append({"ids": ids[len(prompt):], "last": float(row.softmax(0).max())})
print(json.dumps(found))
"""


@pytest.mark.engine
def test_onnx_says_what_transformers_says() -> None:
    done = python("-c", REFERENCE, FOLDER, json.dumps(PROMPTS))
    assert done.returncode == 0, done.stderr
    case = Case(OnnxDrafter(FOLDER / "model.onnx", CONTEXT))
    for prompt, wanted in zip(PROMPTS, json.loads(done.stdout.splitlines()[-1]), strict=True):
        guesses = case.guesses(prompt, 40)
        assert [guess.token for guess in guesses] == wanted["ids"]
        assert guesses[-1].probability == pytest.approx(wanted["last"], abs=1e-4)


# --- what can't be opened ---


@pytest.mark.parametrize(
    ("kind", "message"),
    [("onnx", r"needs one file \*.onnx, has none"), ("llama", r"needs one file \*.gguf, has none")],
)
def test_a_missing_file_is_named(tmp_path: Path, kind: str, message: str) -> None:
    with pytest.raises(DrafterFailed, match=message):
        open_drafter(kind, tmp_path, context=CONTEXT)


def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"nothing")
    with pytest.raises(DrafterFailed, match="x.onnx can't be loaded"):
        open_drafter("onnx", tmp_path, context=CONTEXT)


def test_an_engine_that_is_not_there_is_named() -> None:
    with pytest.raises(DrafterFailed, match="--engine-url"):
        open_drafter("openai", FOLDER, context=CONTEXT)
    with pytest.raises(DrafterFailed, match="127.0.0.1:1"):
        open_drafter("openai", FOLDER, context=CONTEXT, engine_url="http://127.0.0.1:1")


def test_noisy_drafts_are_wrong_as_often_as_asked() -> None:
    onnx = OnnxDrafter(FOLDER / "model.onnx", CONTEXT)
    spoiled, right = NoisyDrafter(onnx, 0.5, MODEL.vocabulary).start(), onnx.start()
    texts = [[*prompt, token] for prompt in PROMPTS for token in range(10, 210)]
    agree = sum(
        spoiled.draft(text, 1, never)[0].token == right.draft(text, 1, never)[0].token
        for text in texts
    )
    assert 0.4 < agree / len(texts) < 0.6
