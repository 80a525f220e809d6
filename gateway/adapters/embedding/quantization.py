"""Weights as 8-bit integers, and the units whose values those would make too coarse."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
LARGEST = 127
"""Of an integer weight. Symmetric: with -128 one scale would not fit both signs."""


def quantise(matrix: Array) -> tuple[NDArray[np.int8], Array]:
    """A [out, in] matrix as integers [in, out] and the scale [out] of each output."""
    scales = np.maximum(np.abs(matrix).max(axis=1) / LARGEST, np.finfo(np.float32).tiny)
    steps = matrix / scales[:, None]
    return np.rint(steps, out=steps).astype(np.int8).T, scales


def widest_units(gains: Iterable[Array], count: int) -> NDArray[np.int64]:
    """The `count` units that layer norms amplify most, given their gains, each [units].

    A few units reach many times what the others do. Activations share one scale, of which they
    would leave the others a few steps only.
    """
    total = np.sum([np.abs(gain) for gain in gains], axis=0)
    return np.sort(np.argsort(-total)[:count])
