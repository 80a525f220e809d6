"""A checkpoint's size, from the headers of its safetensors files."""

from __future__ import annotations

import json
import struct
from math import prod
from pathlib import Path

from loadtest.measure.failure import BenchmarkFailure


def parameters(model: Path) -> int:
    """Weights in the model's safetensors files, read from their headers.

    Raises BenchmarkFailure when there are none.
    """
    files = sorted(model.glob("*.safetensors"))
    if not files:
        raise BenchmarkFailure(f"{model} has no safetensors file", 2)
    return sum(_tensor_sizes(file) for file in files)


def _tensor_sizes(file: Path) -> int:
    """The format: 8 bytes little-endian length of a JSON header, the header, the data."""
    with file.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        header = json.loads(stream.read(length))
    return sum(prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")
