"""Who gets in, in which order, and who is refused: a bounded number of requests runs at once, the
others wait in a bounded queue.

The queue serves a higher priority first, and callers of the same priority in turn, whatever number
of requests each has there: round robin by caller, as in fair queueing (Nagle, RFC 970). Where it is
full, the newest request of the caller that has most there gives way to one of a caller with fewer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from gateway.protocol.headers import HIGHEST_PRIORITY

SHORTEST_RETRY_S, LONGEST_RETRY_S = 1.0, 60.0
DOUBT = 0.5
"""The share of an expected wait that is believed. To refuse wrongly costs an answer, to let a
request wait in vain costs time."""


class ShedReason(StrEnum):
    """Why a request was refused before any work was done for it."""

    QUEUE_FULL = "queue_full"
    DISPLACED = "displaced"
    WAIT = "wait"
    DEADLINE = "deadline"
    BODIES = "bodies"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """The limits of admission. `max_wait_s`: how long a request may stand in the gateway's own
    queue, in seconds."""

    max_in_flight: int
    max_queue: int
    max_wait_s: float


class Waiting(Protocol):
    """A request that waits: from whom, and how urgent it is (LOWEST to HIGHEST_PRIORITY)."""

    @property
    def caller(self) -> str: ...

    @property
    def priority(self) -> int: ...


Place = TypeVar("Place", bound=Waiting)


class AdmissionQueue(Generic[Place]):
    """The requests that wait for admission. Its bound is the caller's to keep."""

    def __init__(self) -> None:
        # By priority, the requests of each caller; the caller whose turn it is comes first.
        self._levels: list[dict[str, deque[Place]]] = [{} for _ in range(HIGHEST_PRIORITY + 1)]
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Place]:
        for level in reversed(self._levels):
            for line in level.values():
                yield from line

    def push(self, place: Place) -> None:
        self._levels[place.priority].setdefault(place.caller, deque()).append(place)
        self._size += 1

    def pop(self) -> Place | None:
        """Take out the request whose turn it is."""
        level = next((level for level in reversed(self._levels) if level), None)
        if level is None:
            return None
        caller = next(iter(level))
        line = level.pop(caller)
        place = line.popleft()
        if line:
            level[caller] = line
        self._size -= 1
        return place

    def remove(self, place: Place) -> bool:
        """Take out one that waits no longer. False: it was not there."""
        level = self._levels[place.priority]
        line = level.get(place.caller)
        if line is None or place not in line:
            return False
        line.remove(place)
        if not line:
            del level[place.caller]
        self._size -= 1
        return True

    def ahead_of(self, caller: str, priority: int) -> int:
        """How many would be served before a newcomer, if nobody else came."""
        higher = sum(len(line) for level in self._levels[priority + 1 :] for line in level.values())
        level = self._levels[priority]
        turns = len(level.get(caller, ())) + 1
        return higher + sum(
            len(line) if name == caller else min(len(line), turns) for name, line in level.items()
        )

    def victim_of(self, caller: str, priority: int) -> Place | None:
        """Who gives way to a newcomer where the queue is full; None: nobody, it is refused itself.

        The lowest priority gives way first. Within the newcomer's own, a caller gives way that
        would still have as many requests in the queue as the newcomer's.
        """
        lowest = next((n for n, level in enumerate(self._levels) if level), priority + 1)
        if lowest > priority:
            return None
        longest = max(self._levels[lowest].values(), key=len)
        own = len(self._levels[priority].get(caller, ()))
        if lowest == priority and len(longest) <= own + 1:
            return None
        return longest[-1]


def expected_wait_s(ahead: int, service_s: float, limits: AdmissionLimits) -> float:
    """How long a newcomer waits while `ahead` are before it, requests take `service_s` seconds and
    every place is taken: places come free at a rate of max_in_flight / service_s (Little's law)."""
    return (ahead + 1) * service_s / limits.max_in_flight


def is_hopeless(remaining_s: float, wait_s: float) -> bool:
    """Whether a deadline will have passed before the request is let in."""
    return wait_s * DOUBT > remaining_s


def retry_after_s(queued: int, service_s: float | None, limits: AdmissionLimits) -> float:
    """When a refused request should come again: once those that wait now are through. `service_s`
    None: not known yet."""
    if service_s is None:
        return min(max(limits.max_wait_s, SHORTEST_RETRY_S), LONGEST_RETRY_S)
    seconds = expected_wait_s(queued, service_s, limits)
    return min(max(seconds, SHORTEST_RETRY_S), LONGEST_RETRY_S)
