"""A BERT encoder as an ONNX graph with 8-bit weights.

Products with weights are of integers, for which activations get the scale that each text needs.
Attention, norms and activation functions stay in floating point.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from gateway.adapters.embedding.quantization import Array, quantise, widest_units
from gateway.adapters.embedding.runtime import MICROSOFT

HEADS = 12
EPSILON = 1e-12
WIDE = 8
"""Units whose products stay in floating point: 2 % of them, which would make most of the error."""


class EncoderGraph:
    """The encoder's graph, as ONNX. `tensor` gives weights by the names of a Hugging Face
    BertModel, float32, and raises for a name that it does not have. Collects nodes and
    constants; `build` gives the graph."""

    def __init__(self, tensor: Callable[[str], Array], layers: int) -> None:
        self._tensor = tensor
        self._prefixes = [f"encoder.layer.{n}" for n in range(layers)]
        gains = [tensor(f"{each}.attention.output.LayerNorm.weight") for each in self._prefixes]
        self._units = len(gains[0])
        self._wide = widest_units(gains, WIDE)
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def build(self) -> onnx.GraphProto:
        """From `embeddings` [1, tokens, units], not yet normalised, to `states` of that shape."""
        self._constant("wide", self._wide)
        others = np.isin(np.arange(self._units), self._wide, invert=True)
        self._constant("others", others.astype(np.float32))
        self._constant("last_axis", np.array([-1]))
        first = ["embeddings", *self._norm("embeddings")]
        states = self._add("LayerNormalization", first, epsilon=EPSILON)
        for prefix in self._prefixes:
            states = self._layer(prefix, states)
        self._add("Identity", [states], ["states"])
        shape: list[str | int] = [1, "tokens", self._units]
        inputs, outputs = (
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)]
            for name in ("embeddings", "states")
        )
        return helper.make_graph(self._nodes, "encoder", inputs, outputs, self._constants)

    def _layer(self, prefix: str, states: str) -> str:
        parts = [f"{prefix}.attention.self.{each}" for each in ("query", "key", "value")]
        self._add("Split", [self._of_states(states, parts)], parts, axis=-1, num_outputs=3)
        mixed = self._add("Attention", parts, q_num_heads=HEADS, kv_num_heads=HEADS)
        states = self._sum(states, mixed, f"{prefix}.attention.output")
        inner = self._add("Gelu", [self._of_states(states, [f"{prefix}.intermediate.dense"])])
        return self._sum(states, inner, f"{prefix}.output")

    def _of_states(self, states: str, names: Sequence[str]) -> str:
        """Linear layers side by side. The wide units' part is computed apart from the others'."""
        name, matrix = names[0], self._joined(names, "weight")
        columns = self._constant(f"{name}.wide", matrix[:, self._wide].T)
        wide = self._add("MatMul", [self._add("Gather", [states, "wide"], axis=-1), columns])
        matrix[:, self._wide] = 0
        others = self._product(self._add("Mul", [states, "others"]), name, matrix)
        bias = self._constant(f"{name}.bias", self._joined(names, "bias"))
        return self._add("Add", [self._add("Add", [others, wide]), bias])

    def _sum(self, states: str, x: str, name: str) -> str:
        """The states and a linear layer of x, normalised."""
        product = self._product(x, name, self._tensor(f"{name}.dense.weight"))
        bias = self._constant(f"{name}.bias", self._tensor(f"{name}.dense.bias"))
        inputs = [states, product, *self._norm(name), bias]
        return self._add("SkipLayerNormalization", inputs, domain=MICROSOFT, epsilon=EPSILON)

    def _product(self, x: str, name: str, matrix: Array) -> str:
        """Of integers. All of x shares one scale, so each token's largest is brought to 1 first."""
        size = self._add("ReduceMax", [self._add("Abs", [x]), "last_axis"])
        weights, scales = quantise(matrix)
        inputs = [self._add("Div", [x, size]), self._constant(f"{name}.weight", weights)]
        inputs.append(self._constant(f"{name}.scales", scales))
        product = self._add("DynamicQuantizeMatMul", inputs, domain=MICROSOFT)
        return self._add("Mul", [product, size])

    def _norm(self, name: str) -> list[str]:
        names = [f"{name}.LayerNorm.{each}" for each in ("weight", "bias")]
        return [self._constant(each, self._tensor(each)) for each in names]

    def _joined(self, names: Sequence[str], kind: str) -> Array:
        return np.concatenate([self._tensor(f"{name}.{kind}") for name in names])

    def _constant(self, name: str, value: Any) -> str:
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def _add(
        self,
        operation: str,
        inputs: Sequence[str],
        outputs: Sequence[str] = (),
        domain: str = "",
        **attributes: Any,
    ) -> str:
        """Gives the name of the first output."""
        outputs = list(outputs) or [f"{operation}.{len(self._nodes)}"]
        self._nodes.append(
            helper.make_node(operation, list(inputs), outputs, domain=domain, **attributes)
        )
        return outputs[0]
