"""The state of one replica, in its own memory: the embedded store."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateway.adapters.state.listeners import Listeners
from gateway.core.ports import Clock
from gateway.core.state import bounds
from gateway.core.state.decisions import Decision, Shelf, decide, place, size_of
from gateway.core.state.operations import Held, Mean, Means, Operation, Read

SWEEP = 64
"""Expired records that one operation clears away at most, so that none pays for all."""


@dataclass(slots=True)
class _Entry:
    record: Any
    until: float
    size: int


@dataclass(frozen=True, slots=True)
class MemoryBounds:
    """The bounds of what is kept in memory. Of each kind: how many records, and the bytes of
    their values. A kind that is full takes nothing from the others."""

    max_entries: int
    max_bytes: int
    max_value_bytes: int


class MemoryStore:
    """A `StateStore` for one replica. Raises StateLost only for what is over its bounds."""

    def __init__(self, clock: Clock, limits: MemoryBounds) -> None:
        self._clock = clock
        self._limits = limits
        self._shelves: dict[Shelf, dict[str, _Entry]] = defaultdict(dict)
        self._bytes: dict[Shelf, int] = defaultdict(int)
        self._expiry: list[tuple[float, Shelf, str]] = []
        self._scheduled: set[tuple[Shelf, str]] = set()
        self._listeners = Listeners()

    def problem(self) -> str | None:
        return None

    @property
    def entries(self) -> int:
        return sum(map(len, self._shelves.values()))

    def clear(self) -> None:
        """Forget everything but who listens."""
        self._shelves.clear()
        self._bytes.clear()
        self._expiry.clear()
        self._scheduled.clear()

    async def run(self, *operations: Operation) -> list[Any]:
        for operation in operations:
            bounds.check(operation, self._limits.max_value_bytes)
        return [self._carry_out(operation) for operation in operations]

    async def publish(self, channel: str, message: bytes) -> None:
        self._listeners.deliver(channel, message)

    async def listen(self, channel: str, receive: Callable[[bytes], None]) -> Callable[[], None]:
        return self._listeners.add(channel, receive)

    def _carry_out(self, operation: Operation) -> Any:
        now = self._clock.now()
        self._sweep(now)
        match operation:
            case Held(kind):
                shelf = self._shelves.get(("lease", kind), {})
                return {n: entry.record.value for n, entry in shelf.items() if entry.until > now}
            case Read(kind, name):
                stored = self._record(("round", kind), name, now)
                return (0, None) if stored is None else (stored.number, stored.value)
            case Means(kind, names):
                records = (self._record(("mean", kind), name, now) for name in names)
                return [Mean() if each is None else each.mean(now) for each in records]
        on, name = place(operation)
        decision = decide(operation, self._record(on, name, now), now)
        self._keep(on, name, decision)
        return decision.result

    def _record(self, shelf: Shelf, name: str, now: float) -> Any:
        entry = self._shelves.get(shelf, {}).get(name)
        return entry.record if entry is not None and entry.until > now else None

    def _keep(self, shelf: Shelf, name: str, decision: Decision[Any]) -> None:
        entry = self._shelves[shelf].get(name)
        if decision.record is None:
            if entry is not None:
                self._drop(shelf, name)
            return
        size = len(name) + size_of(decision.record)
        self._make_room(shelf, entry, size)
        self._bytes[shelf] += size - (entry.size if entry else 0)
        self._shelves[shelf][name] = _Entry(decision.record, decision.until, size)
        if (shelf, name) not in self._scheduled:
            self._schedule(decision.until, shelf, name)

    def _make_room(self, shelf: Shelf, entry: _Entry | None, size: int) -> None:
        """Raises StateLost where there is none: what others hold is not given away."""
        entries = len(self._shelves[shelf]) + (entry is None)
        if entries > self._limits.max_entries:
            raise bounds.full(shelf[1], f"{self._limits.max_entries} entries")
        more = size - (entry.size if entry else 0)
        if more > 0 and self._bytes[shelf] + more > self._limits.max_bytes:
            raise bounds.full(shelf[1], f"{self._limits.max_bytes} bytes")

    def _drop(self, shelf: Shelf, name: str) -> None:
        self._bytes[shelf] -= self._shelves[shelf].pop(name).size
        if not self._shelves[shelf]:
            del self._shelves[shelf], self._bytes[shelf]

    def _sweep(self, now: float) -> None:
        for _ in range(SWEEP):
            if not self._expiry or self._expiry[0][0] > now:
                return
            _, shelf, name = heapq.heappop(self._expiry)
            self._scheduled.discard((shelf, name))
            entry = self._shelves.get(shelf, {}).get(name)
            if entry is not None and entry.until <= now:
                self._drop(shelf, name)
            elif entry is not None:
                self._schedule(entry.until, shelf, name)

    def _schedule(self, when: float, shelf: Shelf, name: str) -> None:
        """Once for each record, however often it is renewed: it is looked at again when due."""
        self._scheduled.add((shelf, name))
        heapq.heappush(self._expiry, (when, shelf, name))
