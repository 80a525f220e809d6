"""What the ONNX graphs of all decoders share: inputs, outputs, attention over a cache, the head.

Written node by node instead of traced: a traced graph of so small a model spends more time in
shape arithmetic than in products. Input and output names are those that Optimum and ONNX Runtime
GenAI use, so that what runs these graphs runs their exports as well.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from services.model_family.export.onnx_shape import NotConvertible, Shape
from services.model_family.export.onnx_weights import LinkedWeights

MICROSOFT = "com.microsoft"
OPSET = 23
SHARED_CACHE = "tierflow.shared_kv_cache"
"""Metadata: past and present may be one buffer, of which the attention mask tells the used part."""
HEAD = "lm_head.weight"


class Graph(ABC):
    """A model in the making: its nodes and constants; `build` gives the model."""

    embedding: str
    """The name of the tokens' embeddings, [vocabulary, hidden]."""

    def __init__(self, shape: Shape, weights: LinkedWeights) -> None:
        self.shape = shape
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def build(self) -> onnx.ModelProto:
        """Raises NotConvertible."""
        self.lengths()
        embedding = self.weight(self.embedding)
        x = self.decoder(self.add("Gather", [embedding, "input_ids"]))
        tied = self.shape.tied
        tied = HEAD not in self.weights if tied is None else tied
        head = embedding if tied else self.weight(HEAD)
        self.weights.check_used(besides=[HEAD] if tied else [])
        # Transposed when loaded, not stored twice.
        self.add("MatMul", [x, self.add("Transpose", [head], perm=[1, 0])], ["logits"])
        whole = helper.make_graph(
            self.nodes,
            self.shape.model_type,
            self.inputs(),
            self.outputs(),
            initializer=self.constants,
        )
        imports = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
        model = helper.make_model(whole, opset_imports=imports, ir_version=10)
        helper.set_model_props(model, {SHARED_CACHE: "1"})
        return model

    @abstractmethod
    def decoder(self, x: str) -> str:
        """All layers and the last norm, from the tokens' embeddings `x`."""

    def lengths(self) -> None:
        """`past` [1], the last used position, and `total`, the mask's length."""
        one, ones = self.constant("one", np.array(1, np.int64)), self.constant("axis", [1])
        summed = self.add("ReduceSum", ["attention_mask", ones], keepdims=0)
        self.add("Cast", [self.add("Sub", [summed, one])], ["past"], to=TensorProto.INT32)
        length = self.add(
            "Gather", [self.add("Shape", ["attention_mask"]), self.constant("second", np.array(1))]
        )
        self.add("Cast", [length], ["total"], to=TensorProto.INT32)

    def attention(self, layer: int, qkv: Sequence[str], rotary: Sequence[str] = ()) -> str:
        """Over the cache and what is new. `qkv` is one packed tensor, or three."""
        past = [f"past_key_values.{layer}.{kind}" for kind in ("key", "value")]
        present = [f"present.{layer}.{kind}" for kind in ("key", "value")]
        packed = [*qkv, "", ""] if len(qkv) == 1 else qkv
        return self.add(
            "GroupQueryAttention",
            [*packed, *past, "past", "total", *rotary],
            [f"attended.{layer}", *present],
            domain=MICROSOFT,
            num_heads=self.shape.heads,
            kv_num_heads=self.shape.kv_heads,
            do_rotary=int(bool(rotary)),
        )

    def biased(self, product: str, parts: Sequence[str]) -> str:
        """With the biases of `parts`, where the checkpoint has any."""
        names = [f"{part}.bias" for part in parts if f"{part}.bias" in self.weights]
        if not names:
            return product
        if len(names) < len(parts):
            raise NotConvertible(f"the checkpoint has {names[0]}, and not that of {parts[-1]}")
        return self.add("Add", [product, self.joined(names, axis=0)])

    def joined(self, names: Sequence[str], axis: int) -> str:
        tensors = [self.weight(name) for name in names]
        return self.add("Concat", tensors, axis=axis) if len(tensors) > 1 else tensors[0]

    def weight(self, name: str) -> str:
        """A tensor of the checkpoint, in float32."""
        tensor = self.weights.tensor(name)
        self.constants.append(tensor)
        if tensor.data_type == TensorProto.FLOAT:
            return str(tensor.name)
        return self.add("Cast", [tensor.name], to=TensorProto.FLOAT)

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
