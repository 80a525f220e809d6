"""A model of the shipped family as a GGUF file, for llama.cpp's server.

    python -m pip install gguf
    python -m tests.contract.llama_model services/model_family/weights/rill-edge edge.gguf
    llama-server -m edge.gguf --parallel 17 --kv-unified -c 8192 --port 8081
    export TIERFLOW_TEST_LLAMA_SERVER=http://127.0.0.1:8081
    python -m pytest tests/contract/test_verifiers.py -k llama

The weights become float32. Texts are split otherwise than by the family's own tokenizer, for which
llama.cpp has no name; ids mean the same.
"""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Weights = npt.NDArray[np.float32]
NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
PARTS = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def main(folder: Path, file: Path) -> None:
    gguf: Any = __import__("gguf")  # Only here, and in no environment of ours.
    config = json.loads((folder / "config.json").read_text())
    writer = gguf.GGUFWriter(str(file), "llama")
    writer.add_name(folder.name)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_vocab_size(config["vocab_size"])
    _add_tokenizer(gguf, writer, folder, config)
    for name, weights in _tensors(folder / "model.safetensors"):
        writer.add_tensor(*_renamed(name, weights, config))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_tokenizer(gguf: Any, writer: Any, folder: Path, config: dict[str, Any]) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    texts = {id: text for text, id in tokenizer["model"]["vocab"].items()}
    special = {token["id"]: token["content"] for token in tokenizer["added_tokens"]}
    ids = range(config["vocab_size"])
    kinds = (gguf.TokenType.NORMAL, gguf.TokenType.CONTROL)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([special.get(id) or texts[id] for id in ids])
    writer.add_token_types([kinds[id in special] for id in ids])
    merges = tokenizer["model"]["merges"]
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in merges])
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_add_bos_token(False)


def _tensors(file: Path) -> Iterator[tuple[str, Weights]]:
    """Of a safetensors file in float32."""
    data = file.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    for name, about in json.loads(data[8 : 8 + size]).items():
        if name != "__metadata__":
            begin, end = about["data_offsets"]
            part = data[8 + size + begin : 8 + size + end]
            yield name, _floats(part, about["dtype"]).reshape(about["shape"])


def _floats(data: bytes, kind: str) -> Weights:
    if kind == "BF16":
        return (np.frombuffer(data, np.uint16).astype(np.uint32) << 16).view(np.float32)
    assert kind == "F32", kind
    return np.frombuffer(data, np.float32)


def _renamed(name: str, weights: Weights, config: dict[str, Any]) -> tuple[str, Weights]:
    if name in NAMES:
        return NAMES[name], weights
    _, _, layer, *rest = name.split(".")
    part = ".".join(rest).removesuffix(".weight")
    if part in ("self_attn.q_proj", "self_attn.k_proj"):
        of_queries = part == "self_attn.q_proj"
        heads = config["num_attention_heads" if of_queries else "num_key_value_heads"]
        weights = _interleaved(weights, heads)
    return f"blk.{layer}.{PARTS[part]}.weight", np.ascontiguousarray(weights)


def _interleaved(weights: Weights, heads: int) -> Weights:
    """llama.cpp rotates neighbouring rows together, and not those half a head apart."""
    rows = weights.reshape(heads, 2, weights.shape[0] // heads // 2, *weights.shape[1:])
    return rows.swapaxes(1, 2).reshape(weights.shape)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
