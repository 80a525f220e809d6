"""The functions that run on the server, and what they are called with for each operation.

They stand in one library whose name changes with its text: gateways of two versions can share a
server, and each runs its own.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from gateway.adapters.state.redis.keys import Keys
from gateway.core.state.decisions import FORGOTTEN_AFTER
from gateway.core.state.operations import (
    Advance,
    Claim,
    ClaimResult,
    ClaimState,
    Complete,
    Draw,
    Forget,
    Held,
    Hold,
    Mean,
    Means,
    Observe,
    Operation,
    Read,
    Release,
    Spend,
)


@dataclass(frozen=True, slots=True)
class Library:
    """The library of functions that carry out the operations. `code` is for FUNCTION LOAD,
    `name` is also that of its one function."""

    name: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionCall:
    """A call of one of the library's functions. Keys in one slot, arguments, and how the reply
    is read."""

    function: str
    keys: Sequence[str]
    arguments: Sequence[str | bytes]
    read: Callable[[Any], Any]


def library(source: str | None = None) -> Library:
    if source is None:
        source = resources.files(__package__).joinpath("operations.lua").read_text()
    name = f"tierflow_{hashlib.sha256(source.encode()).hexdigest()[:12]}"
    return Library(name, f"#!lua name={name}\n{source.replace('LIBRARY', name)}")


def call_for(operation: Operation, keys: Keys) -> FunctionCall:
    match operation:
        case Hold(kind=kind, name=name, holder=holder, value=value, ttl_s=ttl_s):
            return FunctionCall(
                function="hold",
                keys=keys.leases(kind),
                arguments=(name, holder, value, _number(ttl_s)),
                read=bool,
            )
        case Release(kind, name, holder):
            return FunctionCall(
                function="release", keys=keys.leases(kind), arguments=(name, holder), read=bool
            )
        case Held(kind):
            return FunctionCall(
                function="held", keys=keys.leases(kind), arguments=(), read=_values_by_name
            )
        case Read(kind, name):
            return FunctionCall(
                function="read", keys=(keys.round(kind, name),), arguments=(), read=_round
            )
        case Advance(kind=kind, name=name, expected=expected, value=value, ttl_s=ttl_s):
            arguments = (str(expected), value, _number(ttl_s))
            return FunctionCall(
                function="advance", keys=(keys.round(kind, name),), arguments=arguments, read=bool
            )
        case Forget(kind, name):
            return FunctionCall(
                function="forget", keys=(keys.round(kind, name),), arguments=(), read=bool
            )
        case _:
            return _call_for_counts(operation, keys)


def _call_for_counts(operation: Operation, keys: Keys) -> FunctionCall:
    match operation:
        case Spend(kind=kind, name=name, amount=amount, burst=burst, per_s=per_s):
            arguments: tuple[str | bytes, ...] = tuple(map(_number, (amount, burst, per_s)))
            return FunctionCall(
                function="spend", keys=(keys.bucket(kind, name),), arguments=arguments, read=float
            )
        case Draw(kind=kind, name=name, drawn=drawn, burst=burst, per_s=per_s):
            arguments = tuple(map(_number, (drawn, burst, per_s)))
            return FunctionCall(
                function="draw", keys=(keys.bucket(kind, name),), arguments=arguments, read=float
            )
        case Observe(kind=kind, name=name, value=value, weight=weight, half_life_s=half_life_s):
            numbers = (value, weight, half_life_s, FORGOTTEN_AFTER * half_life_s)
            arguments = tuple(map(_number, numbers))
            return FunctionCall(
                function="observe", keys=(keys.mean(kind, name),), arguments=arguments, read=_mean
            )
        case Means(kind, names):
            return FunctionCall(
                function="means",
                keys=[keys.mean(kind, name) for name in names],
                arguments=(),
                read=_means,
            )
        case Claim(name=name, digest=digest, holder=holder, lease_s=lease_s, ttl_s=ttl_s):
            arguments = (digest, holder, _number(lease_s), _number(ttl_s))
            return FunctionCall(
                function="claim", keys=(keys.claim(name),), arguments=arguments, read=_claimed
            )
        case Complete(name=name, holder=holder, answer=answer, ttl_s=ttl_s):
            arguments = (holder, str(int(answer is not None)), answer or b"", _number(ttl_s))
            return FunctionCall(
                function="complete", keys=(keys.claim(name),), arguments=arguments, read=bool
            )
    raise TypeError(f"{type(operation).__name__} is no operation")


def _number(value: float) -> str:
    assert math.isfinite(value)
    return repr(float(value))


def _round(reply: Sequence[Any]) -> tuple[int, bytes | None]:
    return int(reply[0]), reply[1]


def _values_by_name(reply: Sequence[bytes]) -> dict[str, bytes]:
    return {name.decode(): value for name, value in zip(reply[::2], reply[1::2], strict=True)}


def _mean(reply: Sequence[bytes]) -> Mean:
    return Mean(float(reply[0]), float(reply[1]))


def _means(reply: Sequence[bytes]) -> list[Mean]:
    return [_mean(pair) for pair in zip(reply[::2], reply[1::2], strict=True)]


def _claimed(reply: Sequence[bytes]) -> ClaimResult:
    return ClaimResult(ClaimState(reply[0].decode()), reply[1])
