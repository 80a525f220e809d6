"""The rules of the shared state: which record an operation is on, and what becomes of it.

Every store decides by them: the one in memory calls them, the one in Redis says them in Lua
(`adapters/state/redis/operations.lua`), and tests hold the two together. Five kinds of records,
each with its rule:

- a lease: a name is one holder's until it is given up or not renewed in time;
- a round: a value with a number, written only over the round that its writer has seen;
- a bucket: tokens are spent at once up to a burst, and refilled at a steady rate;
- a mean in which the past counts less and less: weights halve after every half-life;
- a claim on an idempotency key: one request does the work, its repetitions get the same answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from gateway.core.state.operations import (
    Advance,
    Claim,
    ClaimResult,
    ClaimState,
    Complete,
    Draw,
    Forget,
    Hold,
    Mean,
    Observe,
    Operation,
    Release,
    Spend,
)
from gateway.core.token_bucket import refilled, spent

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Decision(Generic[Record]):
    """The outcome of one operation on one record. `record` is to be kept until the time `until`,
    from which on it counts as absent; None: keep nothing. `result` is what the operation gives."""

    record: Record | None
    until: float
    result: Any


def nothing(result: Any) -> Decision[Any]:
    return Decision(None, 0.0, result)


# Leases


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease: who holds the name, with what value, until when."""

    holder: str
    value: bytes
    until: float


def hold(lease: Lease | None, operation: Hold, now: float) -> Decision[Lease]:
    if lease is not None and lease.holder != operation.holder:
        return Decision(lease, lease.until, False)
    until = now + operation.ttl_s
    return Decision(Lease(operation.holder, operation.value, until), until, True)


def release(lease: Lease | None, operation: Release) -> Decision[Lease]:
    if lease is None:
        return nothing(False)
    if lease.holder != operation.holder:
        return Decision(lease, lease.until, False)
    return nothing(True)


# Rounds


@dataclass(frozen=True, slots=True)
class Round:
    """A value with the number of times that it was written."""

    number: int
    value: bytes
    until: float


def advance(stored: Round | None, operation: Advance, now: float) -> Decision[Round]:
    number = 0 if stored is None else stored.number
    if number != operation.expected:
        return Decision(stored, 0.0 if stored is None else stored.until, False)
    until = now + operation.ttl_s
    return Decision(Round(number + 1, operation.value, until), until, True)


def forget(stored: Round | None) -> Decision[Round]:
    return nothing(stored is not None)


# Buckets


@dataclass(frozen=True, slots=True)
class BucketLevel:
    """The record of a bucket that is not full. `level` was in it at the time `at`."""

    level: float
    at: float
    until: float


def spend(bucket: BucketLevel | None, operation: Spend, now: float) -> Decision[BucketLevel]:
    """A full bucket is not kept: one that is not there is full."""
    burst, per_s = operation.burst, operation.per_s
    level = burst
    if bucket is not None:
        level = refilled(bucket.level, now - bucket.at, burst, per_s)
    level, wait_s = spent(level, operation.amount, burst, per_s)
    return _bucket_left(level, burst, per_s, now, wait_s)


def draw(bucket: BucketLevel | None, operation: Draw, now: float) -> Decision[BucketLevel]:
    burst, per_s = operation.burst, operation.per_s
    level = burst
    if bucket is not None:
        level = refilled(bucket.level, now - bucket.at, burst, per_s)
    level = min(burst, level - operation.drawn)
    return _bucket_left(level, burst, per_s, now, level)


def _bucket_left(
    level: float, burst: float, per_s: float, now: float, result: float
) -> Decision[BucketLevel]:
    if level >= burst:
        return Decision(None, 0.0, result)
    until = now + (burst - level) / per_s
    return Decision(BucketLevel(level, now, until), until, result)


# Means


FORGOTTEN_AFTER = 32.0
"""Half-lives. A weight of one is less than a billionth by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """A mean as it was at the time `at`."""

    value: float
    weight: float
    at: float
    half_life_s: float

    def mean(self, now: float) -> Mean:
        elapsed = max(now - self.at, 0.0)
        return Mean(self.value, self.weight * 0.5 ** (elapsed / self.half_life_s))


def observe(memory: Memory | None, operation: Observe, now: float) -> Decision[Memory]:
    half_life_s = operation.half_life_s
    before = Mean()
    if memory is not None:
        # The past fades as it is told now, whatever it was told before.
        before = Memory(
            value=memory.value, weight=memory.weight, at=memory.at, half_life_s=half_life_s
        ).mean(now)
    weight = before.weight + operation.weight
    if weight <= 0.0:
        return nothing(Mean())
    value = (before.value * before.weight + operation.value * operation.weight) / weight
    until = now + FORGOTTEN_AFTER * half_life_s
    return Decision(
        Memory(value=value, weight=weight, at=now, half_life_s=half_life_s),
        until,
        Mean(value, weight),
    )


# Claims


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRecord:
    """The record of a claim. `lease_until` is when it may be taken over; `done` once its holder has
    answered."""

    digest: str
    holder: str
    lease_until: float
    until: float
    done: bool = False
    answer: bytes | None = None


def claim(record: ClaimRecord | None, operation: Claim, now: float) -> Decision[ClaimRecord]:
    """The holder that claims again renews its lease and is told NEW again."""
    if record is None:
        return _claim_taken(operation, now, ClaimState.NEW)
    if record.digest != operation.digest:
        return _claim_unchanged(record, ClaimResult(ClaimState.MISMATCH))
    if record.done:
        return _claim_unchanged(record, ClaimResult(ClaimState.DONE, record.answer))
    if record.holder == operation.holder:
        return _claim_taken(operation, now, ClaimState.NEW)
    if record.lease_until > now:
        return _claim_unchanged(record, ClaimResult(ClaimState.RUNNING))
    return _claim_taken(operation, now, ClaimState.TAKEN_OVER)


def complete(record: ClaimRecord | None, operation: Complete, now: float) -> Decision[ClaimRecord]:
    """An answer that is stored stays as it is: completing it again changes nothing."""
    if record is None:
        return nothing(False)
    if record.holder != operation.holder or record.done:
        return _claim_unchanged(record, record.holder == operation.holder)
    if operation.answer is None:
        return nothing(True)
    until = now + operation.ttl_s
    done = replace(record, done=True, answer=operation.answer, until=until)
    return Decision(done, until, True)


def _claim_taken(operation: Claim, now: float, state: ClaimState) -> Decision[ClaimRecord]:
    until = now + max(operation.ttl_s, operation.lease_s)
    fresh = ClaimRecord(
        digest=operation.digest,
        holder=operation.holder,
        lease_until=now + operation.lease_s,
        until=until,
    )
    return Decision(fresh, until, ClaimResult(state))


def _claim_unchanged(record: ClaimRecord, result: ClaimResult | bool) -> Decision[ClaimRecord]:
    return Decision(record, record.until, result)


# All of them


Shelf = tuple[str, str]
"""What a record is (lease, round, …), and its kind. Names are unique on one."""


def place(operation: Operation) -> tuple[Shelf, str]:
    """Where the record lies that the operation is on. Raises TypeError for one on many."""
    match operation:
        case Hold(kind=kind, name=name) | Release(kind, name):
            return ("lease", kind), name
        case Advance(kind=kind, name=name) | Forget(kind, name):
            return ("round", kind), name
        case Spend(kind=kind, name=name) | Draw(kind=kind, name=name):
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
            return hold(record, operation, now)
        case Release():
            return release(record, operation)
        case Advance():
            return advance(record, operation, now)
        case Forget():
            return forget(record)
        case Spend():
            return spend(record, operation, now)
        case Draw():
            return draw(record, operation, now)
        case Observe():
            return observe(record, operation, now)
        case Claim():
            return claim(record, operation, now)
        case Complete():
            return complete(record, operation, now)
    raise TypeError(f"{type(operation).__name__} is no operation on a record")


def size_of(record: Any) -> int:
    """Bytes, near enough to bound them."""
    match record:
        case Lease(holder, value) | Round(holder, value):
            return len(value) + (len(holder) if isinstance(holder, str) else 0)
        case ClaimRecord():
            return len(record.digest) + len(record.holder) + len(record.answer or b"")
    return 0
