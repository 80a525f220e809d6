"""Which record an operation is on, and what becomes of it."""

from __future__ import annotations

from typing import Any

from gateway.core.state import buckets, claims, leases, means, places, versions
from gateway.core.state.decision import Decision
from gateway.core.state.operations import (
    Advance,
    Claim,
    Complete,
    Enter,
    Forget,
    Hold,
    Leave,
    Observe,
    Operation,
    Release,
    Spend,
)

Shelf = tuple[str, str]
"""What a record is (lease, round, …), and its kind. Names are unique on one."""


def place(operation: Operation) -> tuple[Shelf, str]:
    """Where the record lies that the operation is on. Raises TypeError for one on many."""
    match operation:
        case Hold(kind=kind, name=name) | Release(kind, name):
            return ("lease", kind), name
        case Advance(kind=kind, name=name) | Forget(kind, name):
            return ("round", kind), name
        case Enter(kind=kind, name=name) | Leave(kind, name):
            return ("places", kind), name
        case Spend(kind=kind, name=name):
            return ("bucket", kind), name
        case Observe(kind=kind, name=name):
            return ("mean", kind), name
        case Claim(name=name) | Complete(name=name):
            return ("claim", "idempotency"), name
    raise TypeError(f"{type(operation).__name__} is no operation on a record")


def decide(operation: Operation, record: Any, now: float) -> Decision[Any]:
    """What becomes of the record, which has not expired, and what the operation gives."""
    match operation:
        case Hold():
            return leases.hold(record, operation, now)
        case Release():
            return leases.release(record, operation)
        case Advance():
            return versions.advance(record, operation, now)
        case Forget():
            return versions.forget(record)
        case Enter():
            return places.enter(record, operation, now)
        case Leave():
            return places.leave(record, operation, now)
        case Spend():
            return buckets.spend(record, operation, now)
        case Observe():
            return means.observe(record, operation, now)
        case Claim():
            return claims.claim(record, operation, now)
        case Complete():
            return claims.complete(record, operation, now)
    raise TypeError(f"{type(operation).__name__} is no operation on a record")


def size_of(record: Any) -> int:
    """Bytes, near enough to bound them."""
    match record:
        case leases.Lease(holder, value) | versions.Round(holder, value):
            return len(value) + (len(holder) if isinstance(holder, str) else 0)
        case claims.Claiming():
            return len(record.digest) + len(record.holder) + len(record.answer or b"")
        case dict():
            return sum(map(len, record))
    return 0
