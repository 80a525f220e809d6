import hashlib
import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer

import services.model_family
from gateway.protocol.onnx_runtime import onnxruntime
from services.model_family.chat import CHAT_TEMPLATE
from services.model_family.evaluation.card import goals, model_card
from services.model_family.evaluation.markdown import percent
from services.model_family.members import TIERS, member
from services.model_family.tasks.registry import BY_NAME

WEIGHTS = Path(services.model_family.__file__).parent / "weights"
FOLDERS = [WEIGHTS / member(tier) for tier in TIERS]
SAMPLES = [
    "What is 3 + 4?",
    "def f(x):\n    return x",
    "çà et là, 漢字 ✓\t\x00",
    "  two  spaces \n\n",
]


def figures() -> dict[str, dict[str, float]]:
    content: dict[str, dict[str, float]] = json.loads((WEIGHTS / "evaluation.json").read_text())
    return content


def test_all_that_is_shipped_takes_at_most_40_megabytes() -> None:
    assert sum(f.stat().st_size for f in WEIGHTS.rglob("*") if f.is_file()) <= 40e6


def test_the_members_share_one_tokenizer_and_template() -> None:
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        digests = {hashlib.sha256((f / name).read_bytes()).hexdigest() for f in FOLDERS}
        assert len(digests) == 1
    assert (FOLDERS[0] / "chat_template.jinja").read_text() == CHAT_TEMPLATE


@pytest.mark.parametrize("text", SAMPLES)
def test_the_shipped_tokenizer_round_trips(text: str) -> None:
    tokenizer = Tokenizer.from_file(str(FOLDERS[0] / "tokenizer.json"))
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_configurations_are_plain_llama_of_growing_depth() -> None:
    configs = [json.loads((f / "config.json").read_text()) for f in FOLDERS]
    assert {c["model_type"] for c in configs} == {"llama"}
    depths = [c["num_hidden_layers"] for c in configs]
    assert depths == sorted(set(depths))
    tokenizer = Tokenizer.from_file(str(FOLDERS[0] / "tokenizer.json"))
    assert {c["vocab_size"] for c in configs} == {tokenizer.get_vocab_size()}


def test_the_card_is_made_from_the_figures() -> None:
    specialists = json.loads((WEIGHTS / "specialists.json").read_text())
    first = json.loads((WEIGHTS / "first_questions.json").read_text())
    assert (WEIGHTS / "README.md").read_text() == model_card(figures(), specialists, first)


def test_the_card_names_each_goal_and_whether_it_was_reached() -> None:
    card = (WEIGHTS / "README.md").read_text()
    for name, wanted, reached in goals(figures()):
        verdict = "reached" if reached >= wanted else "missed"
        assert f"| {name} | {percent(wanted)} | {percent(reached)} | {verdict} |" in card


def test_figures_are_shares_for_every_task() -> None:
    content = figures()
    assert set(content["tasks"]) == set(BY_NAME)
    assert set(content["accuracy"]) == set(TIERS)
    assert set(content["agreement"]) == set(TIERS[:-1])
    assert all(0 <= x <= 1 for key in ("accuracy", "agreement") for x in content[key].values())


def test_larger_members_answer_better() -> None:
    accuracy = figures()["accuracy"]
    assert accuracy["device"] < accuracy["edge"] < accuracy["cloud"]


def test_the_device_member_is_shipped_for_devices_without_torch_too() -> None:
    session = onnxruntime.InferenceSession(str(WEIGHTS / member("device") / "model.onnx"))
    config = json.loads((WEIGHTS / member("device") / "config.json").read_text())
    names = {each.name: each.shape for each in session.get_inputs()}
    layers, heads = config["num_hidden_layers"], config["num_key_value_heads"]
    caches = [name for name in names if name.startswith("past_key_values.")]
    assert {"input_ids", "attention_mask"} <= names.keys() and len(caches) == 2 * layers
    assert names[caches[0]][1] == heads and names[caches[0]][3] == config["head_dim"]
    assert session.get_outputs()[0].shape[2] == config["vocab_size"]
