"""A member's folder: an exit as an ordinary Llama checkpoint (k backbone layers and the exit's
branch), written and read back."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

from services.model_family.chat import BOS, CHAT_TEMPLATE, END, EOS, PAD
from services.model_family.members import TIERS, member
from services.model_family.model import FamilyModel
from services.model_family.presets import ModelShape
from services.model_family.tokenizer import token_id

STORED = torch.bfloat16


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


def write_member(
    folder: Path, state: dict[str, Tensor], shape: ModelShape, tokenizer_file: Path
) -> None:
    """The folder of ``state`` (of ``llama_state``), complete but for ``model.onnx``."""
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    folder.mkdir(parents=True, exist_ok=True)
    layers = 1 + max(int(name.split(".")[2]) for name in state if ".layers." in name)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
    write_json(folder / "config.json", llama_config(shape, layers, tokenizer))
    write_json(folder / "generation_config.json", generation_config(tokenizer))
    write_json(folder / "tokenizer_config.json", tokenizer_config(shape.context))
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")
    shutil.copyfile(tokenizer_file, folder / "tokenizer.json")


def load_member(folder: Path) -> FamilyModel:
    """A member as a backbone without early exits, in float32."""
    model = FamilyModel(stored_shape(folder))
    stored = load_file(folder / "model.safetensors")
    model.load_state_dict({backbone_name(name): stored[name].float() for name in stored})
    return model


def load_family(folder: Path) -> FamilyModel:
    """The members below ``folder`` as one backbone with exits, in float32.

    The backbone, embeddings and head are those of the largest member; of each smaller one it takes
    the last layer as the branch, and the norm.
    """
    *early, whole = (folder / member(tier) for tier in TIERS)
    depths = tuple(stored_shape(path).layers - 1 for path in early)
    model = FamilyModel(replace(stored_shape(whole), exits=depths))
    stored = load_file(whole / "model.safetensors")
    state = {backbone_name(name): tensor for name, tensor in stored.items()}
    state[f"norms.{len(early)}.weight"] = state.pop("norms.0.weight")
    for number, (path, depth) in enumerate(zip(early, depths, strict=True)):
        stored = load_file(path / "model.safetensors")
        state[f"norms.{number}.weight"] = stored["model.norm.weight"]
        last = f"model.layers.{depth}."
        for name, tensor in stored.items():
            if name.startswith(last):
                state[f"branches.{number}.{name.removeprefix(last)}"] = tensor
    model.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    return model


def with_own_embeddings(folder: Path) -> tuple[str, ...]:
    """The tiers of the family below ``folder`` whose members were trained by themselves: their
    embeddings are not the largest member's, so that they are no exits of it any more."""
    shared, *early = (
        load_file(folder / member(tier) / "model.safetensors")["model.embed_tokens.weight"]
        for tier in (TIERS[-1], *TIERS[:-1])
    )
    pairs = zip(TIERS[:-1], early, strict=True)
    return tuple(tier for tier, own in pairs if not torch.equal(own, shared))


def stored_shape(folder: Path) -> ModelShape:
    """The shape of a member's folder, as a backbone without early exits."""
    config = json.loads((folder / "config.json").read_text())
    return ModelShape(
        hidden=config["hidden_size"],
        layers=config["num_hidden_layers"],
        heads=config["num_attention_heads"],
        feed_forward=config["intermediate_size"],
        exits=(),
        vocabulary=config["vocab_size"],
        context=config["max_position_embeddings"],
        rope_theta=config["rope_parameters"]["rope_theta"],
        norm_eps=config["rms_norm_eps"],
    )


def backbone_name(name: str) -> str:
    """Of a parameter of a Llama checkpoint, in a model without early exits."""
    if name == "model.norm.weight":
        return "norms.0.weight"
    return name.removeprefix("model.").replace("layers.", "blocks.", 1)
