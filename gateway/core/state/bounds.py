"""What a store takes at most, so that nobody fills it with one call."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import TypeVar

from gateway.core.state.operations import Operation
from gateway.errors import StateLost

MAX_NAME = 1024
"""Bytes of a kind, a name, a holder or a digest."""
MAX_TTL_S = 366 * 86400.0
MAX_NAMES = 10_000
"""In one question for means."""
MAX_OPERATIONS = 500
"""In one call, so that it stays within the store's timeout: some 0.3 MB of leases."""

_POSITIVE = {"ttl_s", "lease_s", "half_life_s", "per_s", "burst"}

T = TypeVar("T")


def check(operation: Operation, max_value: int) -> None:
    """Raises ValueError for what can't be meant, which is a mistake of the caller's code, and
    StateLost with the code `state_too_large` for a value of more than `max_value` bytes."""
    for field in fields(operation):
        value = getattr(operation, field.name)
        what = f"{type(operation).__name__}.{field.name}"
        if isinstance(value, bytes):
            if len(value) > max_value:
                raise too_large(what, len(value), max_value)
        elif isinstance(value, str):
            _check_name(what, value)
        elif isinstance(value, float | int):
            _check_number(what, field.name, float(value))
        elif field.name == "names":
            if len(value) > MAX_NAMES:
                raise ValueError(f"{what}: {len(value)} names; at most {MAX_NAMES} at once")
            for name in value:
                _check_name(what, name)


def slices(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """All items in order, MAX_OPERATIONS at a time: one call of the store for each slice."""
    for start in range(0, len(items), MAX_OPERATIONS):
        yield items[start : start + MAX_OPERATIONS]


def too_large(what: str, size: int, limit: int) -> StateLost:
    return StateLost(
        f"{what}: {size} bytes; the shared state takes {limit} at most",
        retry_after=1.0,
        code="state_too_large",
    )


def full(kind: str, limit: str) -> StateLost:
    return StateLost(
        f"the state in memory is full: {limit} of kind {kind!r}",
        retry_after=5.0,
        code="state_full",
    )


def _check_name(what: str, name: str) -> None:
    if not 0 < len(name.encode()) <= MAX_NAME:
        raise ValueError(f"{what}: 1 to {MAX_NAME} bytes, not {len(name.encode())}")


def _check_number(what: str, name: str, number: float) -> None:
    if not math.isfinite(number):
        raise ValueError(f"{what}: a finite number, not {number}")
    if name in _POSITIVE and number <= 0:
        raise ValueError(f"{what}: more than 0, not {number}")
    if name in {"ttl_s", "lease_s", "half_life_s"} and number > MAX_TTL_S:
        raise ValueError(f"{what}: at most {MAX_TTL_S:g} s, not {number:g}")
    if name in {"weight", "expected", "amount"} and number < 0:
        raise ValueError(f"{what}: not less than 0, not {number}")
