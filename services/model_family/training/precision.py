"""The precision of a training's products: bfloat16 where the machine computes it fast."""

# Torch is not installed where types are checked.
from __future__ import annotations

import contextlib
import functools
from typing import Any

import torch


@functools.cache
def fast_bfloat16(device: str) -> bool:
    """Whether products in bfloat16 are faster than in float32 on ``device``, ``cpu`` or ``cuda``.

    A CPU without instructions for it (AVX-512 BF16, AMX) is some fifty times slower with it.
    """
    return device != "cpu" or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def autocast(device: str, wanted: str) -> contextlib.AbstractContextManager[Any]:
    """The context in which to compute: in the type ``wanted`` if it is fast on ``device``."""
    if wanted == "float32" or not fast_bfloat16(device):
        return contextlib.nullcontext()
    context: contextlib.AbstractContextManager[Any] = torch.autocast(device, getattr(torch, wanted))
    return context
