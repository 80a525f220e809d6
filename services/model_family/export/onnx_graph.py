"""A Llama checkpoint as an ONNX graph with a KV cache, for drafting on a device.

Written node by node instead of traced: a traced graph of so small a model spends more time in
shape arithmetic than in products. Input and output names are those that Optimum and ONNX Runtime
GenAI use, so that what runs this graph runs their exports as well.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

MICROSOFT = "com.microsoft"
OPSET = 23
SHARED_CACHE = "tierflow.shared_kv_cache"
"""Metadata: past and present may be one buffer, of which the attention mask tells the used part."""

Array = NDArray[np.float32]


class NotConvertible(Exception):
    """The checkpoint's architecture is not the one that the graph computes."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What the graph needs of a Llama config.json."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head: int
    vocabulary: int
    context: int
    eps: float
    rope_theta: float

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Shape:
        heads = int(config["num_attention_heads"])
        rope = config.get("rope_parameters") or {"rope_theta": config.get("rope_theta", 10_000.0)}
        return cls(
            layers=int(config["num_hidden_layers"]),
            hidden=int(config["hidden_size"]),
            heads=heads,
            kv_heads=int(config["num_key_value_heads"]),
            head=int(config.get("head_dim") or config["hidden_size"] // heads),
            vocabulary=int(config["vocab_size"]),
            context=int(config["max_position_embeddings"]),
            eps=float(config["rms_norm_eps"]),
            rope_theta=float(rope["rope_theta"]),
        )


def convert_folder(folder: Path) -> Path:
    """Write `model.onnx` beside a Llama checkpoint's weights, and give its path.

    Raises NotConvertible for an architecture that this graph is not.
    """
    from safetensors.torch import load_file

    config = json.loads((folder / "config.json").read_text())
    if config.get("model_type") != "llama" or not config.get("tie_word_embeddings"):
        raise NotConvertible(f"{folder}: only Llama checkpoints with tied embeddings are converted")
    weights = load_file(folder / "model.safetensors")
    target = folder / "model.onnx"
    write_onnx(config, {name: tensor.float().numpy() for name, tensor in weights.items()}, target)
    return target


def write_onnx(config: Mapping[str, Any], weights: Mapping[str, Array], target: Path) -> None:
    """`weights` under the names of a Llama checkpoint, float32, with tied embeddings."""
    model = Graph(Shape.of(config), weights).build()
    onnx.checker.check_model(model)
    target.write_bytes(model.SerializeToString())


class Graph:
    """A model in the making: its nodes and constants; `build` gives the model."""

    def __init__(self, shape: Shape, weights: Mapping[str, Array]) -> None:
        self.shape = shape
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def build(self) -> onnx.ModelProto:
        self.lengths()
        self.rotations()
        embedding = self.weight("model.embed_tokens.weight")
        x = self.add("Gather", [embedding, "input_ids"])
        residual = ""
        for layer in range(self.shape.layers):
            x, residual = self.block(f"model.layers.{layer}", layer, x, residual)
        x, _ = self.norm("model.norm.weight", x, residual)
        # Transposed when loaded, not stored twice.
        head = self.add("Transpose", [embedding], perm=[1, 0])
        self.add("MatMul", [x, head], ["logits"])
        graph = helper.make_graph(
            self.nodes, "llama", self.inputs(), self.outputs(), initializer=self.constants
        )
        imports = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
        model = helper.make_model(graph, opset_imports=imports, ir_version=10)
        helper.set_model_props(model, {SHARED_CACHE: "1"})
        return model

    def lengths(self) -> None:
        """`past` [1], the last used position, and `total`, the mask's length."""
        one, ones = self.constant("one", np.array(1, np.int64)), self.constant("axis", [1])
        summed = self.add("ReduceSum", ["attention_mask", ones], keepdims=0)
        self.add("Cast", [self.add("Sub", [summed, one])], ["past"], to=TensorProto.INT32)
        length = self.add(
            "Gather", [self.add("Shape", ["attention_mask"]), self.constant("second", np.array(1))]
        )
        self.add("Cast", [length], ["total"], to=TensorProto.INT32)

    def rotations(self) -> None:
        steps = np.arange(0, self.shape.head, 2, dtype=np.float32) / self.shape.head
        angles = np.outer(np.arange(self.shape.context), self.shape.rope_theta**-steps)
        self.constant("cos", np.cos(angles).astype(np.float32))
        self.constant("sin", np.sin(angles).astype(np.float32))

    def block(self, prefix: str, layer: int, x: str, residual: str) -> tuple[str, str]:
        """One decoder layer; gives its output and the residual stream to add it to."""
        x, residual = self.norm(f"{prefix}.input_layernorm.weight", x, residual)
        packed = self.project(prefix, "qkv", [f"self_attn.{name}_proj" for name in "qkv"], x)
        past = [f"past_key_values.{layer}.{kind}" for kind in ("key", "value")]
        present = [f"present.{layer}.{kind}" for kind in ("key", "value")]
        attended = self.add(
            "GroupQueryAttention",
            [packed, "", "", *past, "past", "total", "cos", "sin"],
            [f"{prefix}.attended", *present],
            domain=MICROSOFT,
            num_heads=self.shape.heads,
            kv_num_heads=self.shape.kv_heads,
            do_rotary=1,
        )
        x = self.project(prefix, "o", ["self_attn.o_proj"], attended)
        x, residual = self.norm(f"{prefix}.post_attention_layernorm.weight", x, residual)
        both = self.project(prefix, "gate_up", ["mlp.gate_proj", "mlp.up_proj"], x)
        gate, up = f"{prefix}.gate", f"{prefix}.up"
        self.add("Split", [both], [gate, up], axis=-1, num_outputs=2)
        swish = self.add("Mul", [gate, self.add("Sigmoid", [gate])])
        return self.project(
            prefix, "down", ["mlp.down_proj"], self.add("Mul", [swish, up])
        ), residual

    def norm(self, name: str, x: str, residual: str) -> tuple[str, str]:
        """Root mean square norm of x + residual, and that sum."""
        scale = self.weight(name)
        if not residual:
            normed = self.add("RMSNormalization", [x, scale], epsilon=self.shape.eps)
            return normed, x
        normed, total = f"{name}.normed", f"{name}.sum"
        self.add(
            "SkipSimplifiedLayerNormalization",
            [x, residual, scale],
            [normed, "", "", total],
            domain=MICROSOFT,
            epsilon=self.shape.eps,
        )
        return normed, total

    def project(self, prefix: str, name: str, parts: Sequence[str], x: str) -> str:
        names = [f"{prefix}.{part}.weight" for part in parts]
        return self.add("MatMul", [x, self.joined(f"{prefix}.{name}.weight", names)])

    def weight(self, name: str) -> str:
        """A tensor of the checkpoint."""
        return self.constant(name, self.weights[name])

    def joined(self, name: str, parts: Sequence[str]) -> str:
        """Matrices [out, in] of the checkpoint as one [in, sum of out]."""
        return self.constant(name, np.concatenate([self.weights[part] for part in parts]).T)

    def constant(self, name: str, value: Any) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(
        self,
        operation: str,
        inputs: Sequence[str],
        outputs: Sequence[str] = (),
        domain: str = "",
        **attributes: Any,
    ) -> str:
        """Gives the name of the first output."""
        outputs = list(outputs) or [f"{operation}.{len(self.nodes)}"]
        self.nodes.append(
            helper.make_node(operation, list(inputs), outputs, domain=domain, **attributes)
        )
        return outputs[0]

    def inputs(self) -> list[onnx.ValueInfoProto]:
        return [
            helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "length"]),
            helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["batch", "total"]),
            *self.cache("past_key_values", "capacity"),
        ]

    def outputs(self) -> list[onnx.ValueInfoProto]:
        logits: list[str | int] = ["batch", "length", self.shape.vocabulary]
        return [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, logits),
            *self.cache("present", "capacity_after"),
        ]

    def cache(self, prefix: str, capacity: str) -> list[onnx.ValueInfoProto]:
        dimensions: list[str | int] = ["batch", self.shape.kv_heads, capacity, self.shape.head]
        return [
            helper.make_tensor_value_info(f"{prefix}.{layer}.{kind}", TensorProto.FLOAT, dimensions)
            for layer in range(self.shape.layers)
            for kind in ("key", "value")
        ]
