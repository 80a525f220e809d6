"""A checkpoint as an ONNX graph with a KV cache, for drafting on a device.

The graph is some kilobytes: its weights stay in the checkpoint beside it. Widening to float32,
joining and transposing are nodes on constants, which ONNX Runtime folds when it loads.
"""

from __future__ import annotations

import json
from pathlib import Path

import onnx

from services.model_family.export.onnx_decoder import Graph
from services.model_family.export.onnx_gpt2 import Gpt2Graph
from services.model_family.export.onnx_rotary import RotaryGraph
from services.model_family.export.onnx_shape import LEARNED, NotConvertible, Shape
from services.model_family.export.onnx_weights import LinkedWeights

__all__ = ["NotConvertible", "convert_folder"]


def convert_folder(folder: Path) -> Path:
    """Write `model.onnx` beside a checkpoint's weights, which it reads there; gives its path.

    Raises NotConvertible for a checkpoint that no graph computes.
    """
    try:
        model = graph_of(folder).build()
    except NotConvertible as exc:
        raise NotConvertible(f"{folder}: {exc}") from exc
    target = folder / "model.onnx"
    target.write_bytes(model.SerializeToString())
    onnx.checker.check_model(target)
    return target


def graph_of(folder: Path) -> Graph:
    """Raises NotConvertible."""
    try:
        shape = Shape.of(json.loads((folder / "config.json").read_text()))
    except OSError as exc:
        raise NotConvertible(f"its config.json can't be read: {exc.strerror}") from exc
    except (ValueError, AttributeError) as exc:
        raise NotConvertible(f"its config.json can't be read: {exc}") from exc
    if shape.model_type in LEARNED:
        return Gpt2Graph(shape, LinkedWeights(folder, "transformer."))
    return RotaryGraph(shape, LinkedWeights(folder, "model."))
