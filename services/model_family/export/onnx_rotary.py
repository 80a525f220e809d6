"""The ONNX graph of Llama and of what is built like it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import TensorProto, helper

from services.model_family.export.onnx_decoder import MICROSOFT, Graph


class RotaryGraph(Graph):
    """Llama, and what differs from it by biases, norms of queries and keys, and grouped heads."""

    embedding = "model.embed_tokens.weight"

    def decoder(self, x: str) -> str:
        self.rotations()
        residual = ""
        for layer in range(self.shape.layers):
            x, residual = self.block(f"model.layers.{layer}", layer, x, residual)
        return self.norm("model.norm.weight", x, residual)[0]

    def rotations(self) -> None:
        """Computed when loaded: as tables they would be most of the file."""
        frequencies = self.shape.frequencies
        assert frequencies is not None
        limits = {"position.first": 0, "position.end": self.shape.context, "position.step": 1}
        self.constants += [
            helper.make_tensor(n, TensorProto.INT64, [], [v]) for n, v in limits.items()
        ]
        places = self.add("Cast", [self.add("Range", list(limits))], to=TensorProto.FLOAT)
        column = self.add("Unsqueeze", [places, self.constant("last", np.array([-1]))])
        angles = self.add("Mul", [column, self.constant("frequencies", frequencies[None])])
        self.add("Cos", [angles], ["cos"])
        self.add("Sin", [angles], ["sin"])

    def block(self, prefix: str, layer: int, x: str, residual: str) -> tuple[str, str]:
        """One decoder layer; gives its output and the residual stream to add it to."""
        x, residual = self.norm(f"{prefix}.input_layernorm.weight", x, residual)
        packed = self.project([f"{prefix}.self_attn.{name}_proj" for name in "qkv"], x)
        attended = self.attention(layer, self.heads(prefix, packed), ["cos", "sin"])
        x = self.project([f"{prefix}.self_attn.o_proj"], attended)
        x, residual = self.norm(f"{prefix}.post_attention_layernorm.weight", x, residual)
        both = self.project([f"{prefix}.mlp.gate_proj", f"{prefix}.mlp.up_proj"], x)
        gate, up = f"{prefix}.gate", f"{prefix}.up"
        self.add("Split", [both], [gate, up], axis=-1, num_outputs=2)
        swish = self.add("Mul", [gate, self.add("Sigmoid", [gate])])
        return self.project([f"{prefix}.mlp.down_proj"], self.add("Mul", [swish, up])), residual

    def heads(self, prefix: str, packed: str) -> list[str]:
        """What attention takes: queries, keys and values apart where they have norms."""
        names = [f"{prefix}.self_attn.{name}_norm.weight" for name in "qk"]
        if not any(name in self.weights for name in names):
            return [packed]
        shape = self.shape
        widths = np.array([shape.heads, shape.kv_heads, shape.kv_heads]) * shape.head
        parts = [f"{prefix}.{name}" for name in "qkv"]
        self.add("Split", [packed, self.constant(f"{prefix}.widths", widths)], parts, axis=-1)
        counts = (shape.heads, shape.kv_heads)
        normed = [
            self.head_norm(name, part, count)
            for name, part, count in zip(names, parts, counts, strict=False)
        ]
        return [*normed, parts[2]]

    def head_norm(self, name: str, x: str, count: int) -> str:
        """The norm of each of `count` heads."""
        apart = self.constant(f"{name}.apart", np.array([0, 0, count, self.shape.head]))
        whole = self.constant(f"{name}.whole", np.array([0, 0, count * self.shape.head]))
        heads = self.add("Reshape", [x, apart])
        normed = self.add("RMSNormalization", [heads, self.weight(name)], epsilon=self.shape.eps)
        return self.add("Reshape", [normed, whole])

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

    def project(self, parts: Sequence[str], x: str) -> str:
        """By the matrices [out, in] of `parts` as one, and with their biases."""
        whole = self.joined([f"{part}.weight" for part in parts], axis=0)
        matrix = self.add("Transpose", [whole], perm=[1, 0])
        return self.biased(self.add("MatMul", [x, matrix]), parts)
