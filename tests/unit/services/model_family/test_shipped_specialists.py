import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import services.model_family
from services.device_agent.drafters.onnx import OnnxDrafter
from services.device_agent.text import TextModel
from services.model_family.chat import ask
from services.model_family.dataset import evaluation_set, held_out
from services.model_family.evaluation.scoring import is_right
from services.model_family.members import TIERS, member
from services.model_family.specialists import (
    COMPARED,
    DESCRIPTION_FILE,
    GENERALIST,
    GENERALIST_MEMBER,
    GROUPS,
    SPECIALISTS,
    Specialist,
    self_description,
)
from tests.unit.services.model_family.engine_environment import command

WEIGHTS = Path(services.model_family.__file__).parent / "weights"
EACH = pytest.mark.parametrize("specialist", SPECIALISTS.values(), ids=SPECIALISTS)


def logits(folder: Path, ids: list[int]) -> NDArray[np.float32]:
    """After each of ``ids`` [ids, vocabulary], as a device computes them."""
    stream = OnnxDrafter(folder / "model.onnx", 2048).start()
    return np.stack([stream._read([token]) for token in ids])


def answer(folder: Path, text: TextModel, prompt: str) -> str:
    stream = OnnxDrafter(folder / "model.onnx", 2048).start()
    ids: list[int] = []
    following = stream._read(text.encode(ask(prompt)))
    while (token := int(following.argmax())) not in text.end_tokens and len(ids) < 96:
        ids.append(token)
        following = stream._read([token])
    return str(text.tokenizer.decode(ids))


def test_the_specialists_take_at_most_12_megabytes() -> None:
    folders = [WEIGHTS / one.member for one in SPECIALISTS.values()]
    assert sum(f.stat().st_size for folder in folders for f in folder.rglob("*")) <= 12e6


@EACH
def test_a_specialist_shares_the_family_s_tokenizer_template_and_shape(
    specialist: Specialist,
) -> None:
    names = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "config.json")
    for name in (*names, "generation_config.json"):
        ours, device = (WEIGHTS / one / name for one in (specialist.member, specialist.start))
        assert hashlib.sha256(ours.read_bytes()).digest() == (
            hashlib.sha256(device.read_bytes()).digest()
        )
    fingerprints = {TextModel(WEIGHTS / member(tier)).fingerprint for tier in TIERS}
    assert fingerprints == {TextModel(WEIGHTS / specialist.member).fingerprint}


@EACH
def test_a_specialist_answers_through_the_device_agent_s_drafter(specialist: Specialist) -> None:
    folder = WEIGHTS / specialist.member
    text = TextModel(folder)
    asked = [q for q, _ in zip(held_out(), range(240), strict=False) if q.task in specialist.tasks]
    right = [is_right(answer(folder, text, q.prompt), q.answer) for q in asked]
    figure = json.loads((WEIGHTS / "specialists.json").read_text())
    expected = figure["groups"][specialist.name][specialist.member]
    assert sum(right) / len(right) == pytest.approx(expected, abs=0.2)


@EACH
def test_the_folder_tells_the_expertise_of_the_table(specialist: Specialist) -> None:
    told = json.loads((WEIGHTS / specialist.member / DESCRIPTION_FILE).read_text())
    assert told == self_description(specialist)


def test_the_device_member_tells_that_it_is_a_generalist() -> None:
    told = json.loads((WEIGHTS / GENERALIST_MEMBER / DESCRIPTION_FILE).read_text())
    assert told == GENERALIST


@EACH
def test_the_graph_reads_the_weights_of_the_safetensors_beside_it(
    specialist: Specialist, tmp_path: Path
) -> None:
    folder = WEIGHTS / specialist.member
    assert (folder / "model.onnx").stat().st_size < 20_000
    for name in ("model.onnx", "model.safetensors"):
        shutil.copyfile(folder / name, tmp_path / name)
    before = logits(tmp_path, [1, 300])
    with (tmp_path / "model.safetensors").open("r+b") as weights:
        weights.seek(-1000, os.SEEK_END)
        weights.write(bytes(1000))
    assert np.abs(logits(tmp_path, [1, 300]) - before).max() > 1e-3


@pytest.mark.engine
@EACH
def test_a_graph_that_is_written_anew_computes_the_same(
    specialist: Specialist, tmp_path: Path
) -> None:
    for name in ("config.json", "model.safetensors"):
        shutil.copyfile(WEIGHTS / specialist.member / name, tmp_path / name)
    command("onnx", "--model", tmp_path).check_returncode()
    text = TextModel(WEIGHTS / specialist.member)
    # Of random tokens two may be likely to the sixth digit, which rounding decides.
    for question in evaluation_set(8):
        ids = text.encode(ask(question.prompt) + question.answer)
        shipped, anew = logits(WEIGHTS / specialist.member, ids), logits(tmp_path, ids)
        assert np.abs(shipped - anew).max() < 2e-3
        assert (shipped.argmax(-1) == anew.argmax(-1)).all()


def test_figures_are_shares_for_every_group_and_member() -> None:
    figures = json.loads((WEIGHTS / "specialists.json").read_text())
    assert list(figures["groups"]) == list(GROUPS)
    for row in figures["groups"].values():
        assert set(row) == {"examples", *COMPARED}
        assert all(0 <= row[name] <= 1 for name in COMPARED)


@EACH
def test_a_specialist_is_better_than_what_it_was_made_from_at_its_own_tasks(
    specialist: Specialist,
) -> None:
    row = json.loads((WEIGHTS / "specialists.json").read_text())["groups"][specialist.name]
    assert row[specialist.member] > max(row[specialist.start], row[GENERALIST_MEMBER])
