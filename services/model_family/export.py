"""Each exit as an ordinary Llama checkpoint: k backbone layers and the exit's branch."""

# Torch is not installed where types are checked.
# mypy: allow-untyped-decorators
from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor
from transformers import AutoModelForCausalLM

from services.model_family import machine
from services.model_family.chat import BOS, CHAT_TEMPLATE, END, EOS, PAD, ask
from services.model_family.dataset import evaluation_set
from services.model_family.members import TIERS, member
from services.model_family.model import FamilyModel
from services.model_family.onnx_graph import convert_folder
from services.model_family.plots import plot_losses
from services.model_family.presets import ModelShape
from services.model_family.tokenizer import token_id

TOLERANCE = 2e-3
STORED = torch.bfloat16


class ExportMismatch(Exception):
    """A written checkpoint does not compute what the trained exit computes."""


def round_weights(model: FamilyModel) -> None:
    """Round to the stored type, so that the files hold exactly what is compared."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.to(STORED).to(parameter.dtype))


def llama_state(model: FamilyModel, exit_index: int) -> dict[str, Tensor]:
    """The exit's weights under the names of a Llama checkpoint with tied embeddings."""
    depths = (*model.shape.exits, model.shape.layers)
    layers = list(model.blocks)[: depths[exit_index]]
    if exit_index < len(model.shape.exits):
        layers.append(model.branches[exit_index])
    state = {
        "model.embed_tokens.weight": model.embed_tokens.weight,
        "model.norm.weight": model.norms[exit_index].weight,
    }
    for number, layer in enumerate(layers):
        for name, parameter in layer.named_parameters():
            state[f"model.layers.{number}.{name}"] = parameter
    return {name: tensor.detach().to(STORED).contiguous() for name, tensor in state.items()}


def llama_config(shape: ModelShape, layers: int, tokenizer: Tokenizer) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "attention_bias": False,
        "bos_token_id": token_id(tokenizer, BOS),
        # Stored in bfloat16 to be small, meant to be computed in float32.
        "dtype": "float32",
        "eos_token_id": token_id(tokenizer, END),
        "head_dim": shape.hidden // shape.heads,
        "hidden_act": "silu",
        "hidden_size": shape.hidden,
        "intermediate_size": shape.feed_forward,
        "max_position_embeddings": shape.context,
        "mlp_bias": False,
        "num_attention_heads": shape.heads,
        "num_hidden_layers": layers,
        "num_key_value_heads": shape.heads,
        "pad_token_id": token_id(tokenizer, PAD),
        "rms_norm_eps": shape.norm_eps,
        "rope_parameters": {"rope_type": "default", "rope_theta": shape.rope_theta},
        "tie_word_embeddings": True,
        "vocab_size": shape.vocabulary,
    }


def generation_config(tokenizer: Tokenizer) -> dict[str, Any]:
    """Greedy by default, in transformers (do_sample) and in vLLM (temperature)."""
    return {
        "bos_token_id": token_id(tokenizer, BOS),
        "do_sample": False,
        "eos_token_id": [token_id(tokenizer, END), token_id(tokenizer, EOS)],
        "pad_token_id": token_id(tokenizer, PAD),
        "temperature": 0.0,
    }


def tokenizer_config(context: int) -> dict[str, Any]:
    return {
        "bos_token": BOS,
        "chat_template": CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": False,
        "eos_token": END,
        "model_max_length": context,
        "pad_token": PAD,
        "tokenizer_class": "PreTrainedTokenizerFast",
    }


def write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def export_run(run_dir: Path, target: Path) -> dict[str, float]:
    """Export a training run's checkpoint, and what is told of the training, to ``target``."""
    saved = torch.load(run_dir / "checkpoint.pt", map_location="cpu", weights_only=True)
    shape = ModelShape(**saved["shape"])
    model = FamilyModel(shape)
    model.load_state_dict(saved["model"])
    differences = export_family(model, run_dir / "tokenizer.json", target)
    progress = saved["progress"]
    about = {
        "preset": saved["preset"],
        "steps": progress["step"],
        "tokens": progress["tokens"],
        "hours": round(progress["elapsed"] / 3600, 2),
        "machine": machine.describe(),
        "layers": shape.layers,
        "hidden": shape.hidden,
        "exits": list(shape.exits),
    }
    write_json(target / "training.json", about)
    plot_losses(run_dir / "log.jsonl", target / "loss.png")
    return differences


def export_family(model: FamilyModel, tokenizer_file: Path, target: Path) -> dict[str, float]:
    """Write all members below ``target`` and check them.

    Returns the largest absolute difference of logits by member name.
    Raises ExportMismatch if one exceeds ``TOLERANCE``.
    """
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    model = model.cpu().eval()
    round_weights(model)
    differences = {}
    for index, tier in enumerate(TIERS):
        folder = target / member(tier)
        folder.mkdir(parents=True, exist_ok=True)
        state = llama_state(model, index)
        layers = 1 + max(int(name.split(".")[2]) for name in state if ".layers." in name)
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        (folder / "model.safetensors").chmod(0o644)
        write_json(folder / "config.json", llama_config(model.shape, layers, tokenizer))
        write_json(folder / "generation_config.json", generation_config(tokenizer))
        write_json(folder / "tokenizer_config.json", tokenizer_config(model.shape.context))
        (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")
        shutil.copyfile(tokenizer_file, folder / "tokenizer.json")
        differences[member(tier)] = largest_difference(model, index, folder, tokenizer)
    # The member that drafts on devices, which have neither torch nor vLLM.
    convert_folder(target / member(TIERS[0]))
    worst = max(differences.values())
    if worst > TOLERANCE:
        raise ExportMismatch(f"exported logits differ by {worst:.2e}, more than {TOLERANCE:.0e}")
    return differences


@torch.no_grad()
def largest_difference(
    model: FamilyModel, exit_index: int, folder: Path, tokenizer: Tokenizer, prompts: int = 24
) -> float:
    """Between the trained exit's logits and those transformers computes from ``folder``."""
    loaded = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    worst = 0.0
    for example in evaluation_set(prompts):
        ids = tokenizer.encode(ask(example.prompt) + example.answer).ids
        tokens = torch.tensor([ids])
        ours = model.logits(model(tokens)[exit_index])
        worst = max(worst, float((ours - loaded(tokens).logits).abs().max()))
    return worst
