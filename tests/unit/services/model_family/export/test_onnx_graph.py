"""Each architecture that the graphs know computes what transformers computes; others are refused
with the reason."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.device_agent.drafters.onnx import OnnxDrafter
from services.device_agent.drafters.port import Guess
from services.model_family.command_line import main
from services.model_family.export.onnx_graph import NotConvertible, convert_folder
from services.model_family.export.onnx_shape import Shape
from tests.servers import SHIPPED_FAMILY
from tests.tiny_models import CONTEXT, VOCABULARY
from tests.unit.services.model_family.engine_environment import python, tiny_models

MODELS = {
    "qwen3/tiny-qwen3-device": "norms of queries and keys, grouped heads, tied embeddings",
    "qwen3/tiny-qwen3-cloud": "an embedding of its own for the head",
    "gpt2/tiny-gpt2-cloud": "learned positions, layer norms, biases",
    "more/llama-untied": "grouped heads",
    "more/llama-biases": "biases everywhere, stretched rotary positions",
    "more/qwen2-bfloat16": "biases of queries, keys and values, in 16 bits",
    "more/mistral-files": "one head of keys and values, weights in several files",
}
TEXT = [(7 * place * place + 3 * place) % VOCABULARY for place in range(180)]
REFERENCE = """
import json, sys, torch
from transformers import AutoModelForCausalLM
torch.set_num_threads(1)
found = {}
for folder in sys.argv[2:]:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        found[folder] = model(torch.tensor([json.loads(sys.argv[1])])).logits[0].tolist()
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def reference() -> dict[str, Any]:
    """The logits of TEXT by transformers, [tokens, vocabulary], by the model's folder."""
    folders = [tiny_models() / name for name in MODELS]
    done = python("-c", REFERENCE, json.dumps(TEXT), *folders)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.engine
@pytest.mark.parametrize("name", MODELS)
def test_a_graph_computes_what_transformers_computes(reference: dict[str, Any], name: str) -> None:
    folder = tiny_models() / name
    wanted = np.array(reference[str(folder)])
    stream = OnnxDrafter(convert_folder(folder), CONTEXT).start()
    # Read in one go, token by token, and after a way back.
    for kept, end in ((0, 100), (100, 101), (101, 102), (60, 140), (140, 141), (1, len(TEXT))):
        stream._roll_back(kept)
        logits = stream._read(TEXT[kept:end])
        assert np.abs(logits - wanted[end - 1]).max() < 1e-4
        assert logits.argmax() == wanted[end - 1].argmax()


@pytest.mark.engine
def test_a_graph_stops_at_the_models_context() -> None:
    drafter = OnnxDrafter(convert_folder(tiny_models() / "gpt2/tiny-gpt2-device"), CONTEXT)
    text = [token % VOCABULARY for token in range(CONTEXT - 3)]
    assert len(drafter.start().draft(text, 10, _never)) == 3


@pytest.mark.engine
def test_an_attention_window_is_refused_by_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    folder = tiny_models() / "more/mistral-window"
    assert main(["onnx", "--model", str(folder)]) == 2
    assert capsys.readouterr().err == (
        f"error: --model: {folder}: the ONNX graph for mistral does not know attention that is "
        "limited to a sliding window\n"
    )
    assert not (folder / "model.onnx").exists()


def test_a_window_as_long_as_the_context_is_none() -> None:
    assert Shape.of({**LLAMA, "model_type": "mistral", "sliding_window": 4096}).layers == 2


LLAMA = {
    "model_type": "llama",
    "hidden_size": 64,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "max_position_embeddings": 128,
    "rms_norm_eps": 1e-6,
    "vocab_size": 100,
}
GPT2 = {"model_type": "gpt2", "n_head": 2, "n_layer": 1, "n_embd": 8, "n_positions": 9}


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"model_type": "gemma3"}, "the architecture gemma3, only for gpt2, llama, mistral, qwen2"),
        ({}, "the architecture None"),
        ({**LLAMA, "quantization_config": {"bits": 4}}, "llama does not know quantised weights"),
        ({**LLAMA, "hidden_act": "relu"}, "the activation relu"),
        ({**LLAMA, "head_dim": 24}, "heads of 24, which is no multiple of 16"),
        ({**LLAMA, "rope_scaling": {"type": "yarn", "factor": 4.0}}, "of the type yarn"),
        ({**LLAMA, "partial_rotary_factor": 0.5}, "rotary positions of a part of each head"),
        ({**LLAMA, "layer_types": ["sliding_attention"], "sliding_window": 8}, "sliding window"),
        ({"model_type": "qwen3"}, "config.json is none of qwen3: KeyError"),
        ({**GPT2, "vocab_size": 9, "activation_function": "relu"}, "gpt2 does not know the act"),
        ({**GPT2, "vocab_size": 9, "scale_attn_weights": False}, "scaled in another way"),
    ],
)
def test_what_no_graph_computes_is_refused(config: dict[str, Any], reason: str) -> None:
    with pytest.raises(NotConvertible, match=reason):
        Shape.of(config)


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    for name in ("config.json", "model.safetensors"):
        shutil.copyfile(SHIPPED_FAMILY / "rill-device" / name, tmp_path / name)
    return tmp_path


def change(folder: Path, **fields: object) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def test_weights_that_the_graph_has_no_place_for_are_refused(shipped: Path) -> None:
    change(shipped, num_hidden_layers=0)
    with pytest.raises(NotConvertible, match="no place for the tensor model.layers.0.*more"):
        convert_folder(shipped)


def test_weights_that_are_missing_are_named(shipped: Path) -> None:
    change(shipped, tie_word_embeddings=False)
    with pytest.raises(NotConvertible, match="has no tensor lm_head.weight"):
        convert_folder(shipped)
    (shipped / "model.safetensors").unlink()
    with pytest.raises(NotConvertible, match="has no model.safetensors"):
        convert_folder(shipped)


@pytest.mark.parametrize("content", [b"", b"\xff" * 20, b"\x02\0\0\0\0\0\0\0[]"])
def test_files_that_are_no_weights_are_named(shipped: Path, content: bytes) -> None:
    (shipped / "model.safetensors").write_bytes(content)
    with pytest.raises(NotConvertible, match="can't be read as safetensors"):
        convert_folder(shipped)


def _never(guess: Guess) -> bool:
    return False
