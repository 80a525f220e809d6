"""What an ONNX graph needs of a config.json, and which configurations have one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROTARY = ("llama", "mistral", "qwen2", "qwen3")
"""Model types of one graph: root mean square norms, rotary positions, a gated feed-forward layer.
Biases, norms of queries and keys, grouped heads and untied embeddings are as the weights say."""
LEARNED = ("gpt2",)
"""Model types with learned positions."""
MODEL_TYPES = tuple(sorted((*ROTARY, *LEARNED)))
TANH_GELU = ("gelu_new", "gelu_pytorch_tanh", "gelu_fast")
HEAD_MULTIPLE = 16
"""ONNX Runtime rotates heads whose size is a multiple of this."""


class NotConvertible(Exception):
    """The checkpoint is none that a graph computes: one line that says which ones there are."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The sizes of a decoder. `context` is in tokens, `eps` the norms' epsilon; `frequencies`
    [head / 2] are those of rotary positions, in radians per token, None for learned ones.
    `tied` is None where config.json does not say whether the embeddings are the head."""

    model_type: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head: int
    vocabulary: int
    context: int
    eps: float
    frequencies: NDArray[np.float32] | None
    tanh_gelu: bool
    tied: bool | None

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Shape:
        """Raises NotConvertible."""
        model_type = config.get("model_type")
        if model_type not in MODEL_TYPES:
            raise NotConvertible(
                f"there is no ONNX graph for the architecture {model_type}, only for "
                f"{', '.join(MODEL_TYPES)}; a device runs others with --drafter llama or openai"
            )
        if config.get("quantization_config"):
            raise refusal(model_type, "quantised weights")
        try:
            return cls._learned(config) if model_type in LEARNED else cls._rotary(config)
        except (KeyError, TypeError, ValueError) as exc:
            raise NotConvertible(f"config.json is none of {model_type}: {exc!r}") from exc

    @classmethod
    def _rotary(cls, config: Mapping[str, Any]) -> Shape:
        name, heads = config["model_type"], int(config["num_attention_heads"])
        context = int(config["max_position_embeddings"])
        head = int(config.get("head_dim") or int(config["hidden_size"]) // heads)
        if config.get("hidden_act", "silu") != "silu":
            raise refusal(name, f"the activation {config['hidden_act']}")
        if _window(config) < context:
            raise refusal(name, "attention that is limited to a sliding window")
        if head % HEAD_MULTIPLE:
            raise refusal(name, f"heads of {head}, which is no multiple of {HEAD_MULTIPLE}")
        return cls(
            model_type=name,
            layers=int(config["num_hidden_layers"]),
            hidden=int(config["hidden_size"]),
            heads=heads,
            kv_heads=int(config.get("num_key_value_heads") or heads),
            head=head,
            vocabulary=int(config["vocab_size"]),
            context=context,
            eps=float(config["rms_norm_eps"]),
            frequencies=_frequencies(config, head),
            tanh_gelu=False,
            tied=config.get("tie_word_embeddings"),
        )

    @classmethod
    def _learned(cls, config: Mapping[str, Any]) -> Shape:
        name, heads = config["model_type"], int(config["n_head"])
        activation = config.get("activation_function", "gelu_new")
        if activation not in (*TANH_GELU, "gelu"):
            raise refusal(name, f"the activation {activation}")
        scaled = config.get("scale_attn_weights", True)
        if not scaled or config.get("scale_attn_by_inverse_layer_idx"):
            raise refusal(name, "attention that is scaled in another way than by the heads' size")
        return cls(
            model_type=name,
            layers=int(config["n_layer"]),
            hidden=int(config["n_embd"]),
            heads=heads,
            kv_heads=heads,
            head=int(config["n_embd"]) // heads,
            vocabulary=int(config["vocab_size"]),
            context=int(config["n_positions"]),
            eps=float(config.get("layer_norm_epsilon", 1e-5)),
            frequencies=None,
            tanh_gelu=activation in TANH_GELU,
            tied=config.get("tie_word_embeddings", True),
        )


def refusal(model_type: str, what: str) -> NotConvertible:
    return NotConvertible(f"the ONNX graph for {model_type} does not know {what}")


def _window(config: Mapping[str, Any]) -> float:
    """Tokens that a token sees at most; infinity where it sees all."""
    sliding = "sliding_attention" in (config.get("layer_types") or ())
    if config.get("use_sliding_window", True) or sliding:
        return float(config.get("sliding_window") or math.inf)
    return math.inf


def _frequencies(config: Mapping[str, Any], head: int) -> NDArray[np.float32]:
    """Of rotary positions, [head / 2], as transformers computes them (modeling_rope_utils)."""
    rope = dict(config.get("rope_scaling") or {}) | dict(config.get("rope_parameters") or {})
    theta = float(rope.get("rope_theta") or config.get("rope_theta") or 10_000.0)
    kind = rope.get("rope_type") or rope.get("type") or "default"
    share = rope.get("partial_rotary_factor") or config.get("partial_rotary_factor") or 1.0
    if share != 1.0:
        raise refusal(config["model_type"], "rotary positions of a part of each head")
    frequencies = theta ** (-np.arange(0, head, 2, dtype=np.float64) / head)
    if kind == "linear":
        frequencies = frequencies / float(rope["factor"])
    elif kind == "llama3":
        frequencies = _llama3(frequencies, rope)
    elif kind != "default":
        raise refusal(config["model_type"], f"rotary positions of the type {kind}")
    return frequencies.astype(np.float32)


def _llama3(frequencies: NDArray[np.float64], rope: Mapping[str, Any]) -> NDArray[np.float64]:
    """Long wavelengths are stretched, short ones are kept, those between are mixed."""
    low, high = float(rope["low_freq_factor"]), float(rope["high_freq_factor"])
    turns = float(rope["original_max_position_embeddings"]) * frequencies / (2 * math.pi)
    kept = np.clip((turns - low) / (high - low), 0.0, 1.0)
    mixed: NDArray[np.float64] = frequencies * (kept + (1 - kept) / float(rope["factor"]))
    return mixed
