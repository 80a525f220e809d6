"""Calls of the store that are as large as there are devices, in parts that fit its timeout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

SLICE = 500
"""Operations in one call: some 0.3 MB of leases."""

T = TypeVar("T")


def slices(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """All of them in order, SLICE at a time."""
    for start in range(0, len(items), SLICE):
        yield items[start : start + SLICE]
