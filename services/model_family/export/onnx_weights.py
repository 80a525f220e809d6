"""A checkpoint's tensors as external data of an ONNX graph: they stay where they lie."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from onnx import TensorProto

from services.model_family.export.onnx_shape import NotConvertible

KINDS = {
    "BF16": TensorProto.BFLOAT16,
    "F16": TensorProto.FLOAT16,
    "F32": TensorProto.FLOAT,
}
ONE_FILE = "model.safetensors"
INDEX = "model.safetensors.index.json"
"""Says in which of several files a tensor lies."""
NO_WEIGHTS = (".rotary_emb.inv_freq", ".attn.bias", ".attn.masked_bias")
"""Ends the names of tensors that old checkpoints hold and that nothing is computed with but what
the graph has in another form: frequencies, masks."""


class LinkedWeights:
    """The tensors of a folder's safetensors files, by name. `prefix` begins the names of all but
    the head's, and may be missing in the files.

    Raises NotConvertible for files that are missing or can't be read.
    """

    def __init__(self, folder: Path, prefix: str) -> None:
        self._prefix = prefix
        self._tensors: dict[str, TensorProto] = {}
        self._used: set[str] = set()
        for file in _files(folder):
            self._tensors |= dict(_entries(file))

    def __contains__(self, name: str) -> bool:
        return self._stored(name) in self._tensors

    def tensor(self, name: str) -> TensorProto:
        """Raises NotConvertible where the checkpoint lacks it."""
        stored = self._stored(name)
        if stored not in self._tensors:
            raise NotConvertible(f"the checkpoint has no tensor {name}")
        if stored in self._used:
            raise AssertionError(f"{name} stands in the graph already")
        self._used.add(stored)
        return self._tensors[stored]

    def check_used(self, besides: Iterable[str] = ()) -> None:
        """Raises NotConvertible where the checkpoint has tensors that the graph has no place
        for: what it computes would be something else."""
        left = self._tensors.keys() - self._used - {self._stored(name) for name in besides}
        unknown = sorted(name for name in left if not name.endswith(NO_WEIGHTS))
        if unknown:
            more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
            raise NotConvertible(f"the graph has no place for the tensor {unknown[0]}{more}")

    def _stored(self, name: str) -> str:
        return name if name in self._tensors else name.removeprefix(self._prefix)


def _files(folder: Path) -> list[Path]:
    if (folder / ONE_FILE).is_file():
        return [folder / ONE_FILE]
    try:
        index = json.loads((folder / INDEX).read_text())
        names = sorted(set(index["weight_map"].values()))
    except OSError as exc:
        raise NotConvertible(f"{folder} has no {ONE_FILE}") from exc
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise NotConvertible(f"{folder / INDEX} can't be read: {exc!r}") from exc
    files = [folder / Path(name).name for name in names]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise NotConvertible(f"{folder} has no {missing[0]}, which {INDEX} names")
    return files


def _entries(file: Path) -> Iterator[tuple[str, TensorProto]]:
    """Each tensor of a safetensors file, as external data."""
    try:
        with file.open("rb") as source:
            (length,) = struct.unpack("<Q", source.read(8))
            header = json.loads(source.read(length))
        places = {
            name: (entry["dtype"], entry["shape"], *entry["data_offsets"])
            for name, entry in header.items()
            if name != "__metadata__"
        }
    except (OSError, ValueError, struct.error, MemoryError, OverflowError) as exc:
        raise NotConvertible(f"{file} can't be read as safetensors: {exc}") from exc
    except (KeyError, TypeError, AttributeError) as exc:
        raise NotConvertible(f"{file} can't be read as safetensors: its header is wrong") from exc
    for name, (kind, shape, begin, end) in places.items():
        if kind not in KINDS and name.endswith(NO_WEIGHTS):
            continue
        if kind not in KINDS:
            known = ", ".join(KINDS)
            raise NotConvertible(f"{file.name}: {name} is of type {kind}, not of {known}")
        tensor = TensorProto(name=name, dims=shape, data_type=KINDS[kind])
        tensor.data_location = TensorProto.EXTERNAL
        place = {"location": file.name, "offset": 8 + length + begin, "length": end - begin}
        for key, value in place.items():
            tensor.external_data.add(key=key, value=str(value))
        yield name, tensor
