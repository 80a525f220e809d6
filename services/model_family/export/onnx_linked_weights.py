"""An ONNX graph of some kilobytes whose weights stay in the checkpoint beside it.

The tensors of ``model.safetensors`` are the graph's external data, as they lie there: widening to
float32, joining and transposing are nodes on constants, which ONNX Runtime folds when it loads.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from services.model_family.export.onnx_graph import Graph, NotConvertible, Shape

KINDS = {
    "BF16": TensorProto.BFLOAT16,
    "F16": TensorProto.FLOAT16,
    "F32": TensorProto.FLOAT,
}


def link_folder(folder: Path) -> Path:
    """Write ``model.onnx`` that reads ``model.safetensors`` beside it, and return its path.

    Raises NotConvertible for an architecture or a type of weights that the graph does not know.
    """
    config = json.loads((folder / "config.json").read_text())
    if config.get("model_type") != "llama" or not config.get("tie_word_embeddings"):
        raise NotConvertible(f"{folder}: only Llama checkpoints with tied embeddings are converted")
    model = LinkedGraph(Shape.of(config), folder / "model.safetensors").build()
    target = folder / "model.onnx"
    target.write_bytes(model.SerializeToString())
    onnx.checker.check_model(target)
    return target


def entries(file: Path) -> tuple[dict[str, Any], int]:
    """The header of a safetensors file by tensor, and the byte at which the data begins."""
    with file.open("rb") as source:
        (length,) = struct.unpack("<Q", source.read(8))
        header = json.loads(source.read(length))
    header.pop("__metadata__", None)
    return header, 8 + length


class LinkedGraph(Graph):
    """A graph whose weights stay in ``file``, a safetensors file in the folder of the graph."""

    def __init__(self, shape: Shape, file: Path) -> None:
        super().__init__(shape, {})
        self.file = file
        self.entries, self.start = entries(file)

    def weight(self, name: str) -> str:
        entry = self.entries[name]
        if entry["dtype"] not in KINDS:
            raise NotConvertible(f"{self.file}: {name} is of type {entry['dtype']}")
        tensor = TensorProto(name=name, dims=entry["shape"], data_type=KINDS[entry["dtype"]])
        tensor.data_location = TensorProto.EXTERNAL
        begin, end = entry["data_offsets"]
        place = {"location": self.file.name, "offset": self.start + begin, "length": end - begin}
        for key, value in place.items():
            tensor.external_data.add(key=key, value=str(value))
        self.constants.append(tensor)
        return self.add("Cast", [name], to=TensorProto.FLOAT)

    def joined(self, name: str, parts: Sequence[str]) -> str:
        weights = [self.weight(part) for part in parts]
        whole = self.add("Concat", weights, axis=0) if len(weights) > 1 else weights[0]
        return self.add("Transpose", [whole], [name], perm=[1, 0])

    def rotations(self) -> None:
        """Computed when loaded: as tables they would be most of the file."""
        steps = np.arange(0, self.shape.head, 2, dtype=np.float32) / self.shape.head
        self.constant("frequencies", (self.shape.rope_theta**-steps)[None].astype(np.float32))
        limits = {"position.first": 0, "position.end": self.shape.context, "position.step": 1}
        self.constants += [
            helper.make_tensor(n, TensorProto.INT64, [], [v]) for n, v in limits.items()
        ]
        places = self.add("Cast", [self.add("Range", list(limits))], to=TensorProto.FLOAT)
        column = self.add("Unsqueeze", [places, self.constant("last", np.array([-1]))])
        angles = self.add("Mul", [column, "frequencies"])
        self.add("Cos", [angles], ["cos"])
        self.add("Sin", [angles], ["sin"])
