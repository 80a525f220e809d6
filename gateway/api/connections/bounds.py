"""How many connections there are, and from where."""

from __future__ import annotations

import resource
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from gateway.core.access.networks import Network, is_within
from gateway.protocol.browser_guard import Readers

RESERVE = 256
"""Descriptors for what is no caller's connection: looks at engines, Redis, logs, mailboxes."""
PER_CONNECTION = 2
"""A caller's connection, and the one to the engine that answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """Bounds of connections; times in seconds. `exempt` are networks of which `max_per_address`
    does not hold: proxies, behind which many callers have one address.

    `headers_s` is the wait for a request's whole head, `body_s` that for its body, which may take
    longer at `body_rate` bytes per second, `stalled_s` the wait for a peer that takes nothing of an
    answer, `keep_alive_s` that for the next request.
    """

    max_connections: int
    max_per_address: int
    exempt: tuple[Network, ...]
    headers_s: float
    body_s: float
    body_rate: float
    stalled_s: float
    keep_alive_s: float
    max_header_bytes: int
    max_headers: int
    max_target_bytes: int


class Connections:
    """The open connections, counted by address. `refused` hears why one was cut off or not let
    in; pages of `readers` may read that they were refused."""

    def __init__(
        self, limits: ConnectionLimits, refused: Callable[[str], None], readers: Readers
    ) -> None:
        self.limits = limits
        self.refused = refused
        self.readers = readers
        self.open = 0
        self._by_address = Counter[str]()

    def enter(self, address: str) -> bool:
        """Whether there is room for one more from here; one that has entered must leave."""
        limits = self.limits
        if self.open >= limits.max_connections:
            return False
        if self._by_address[address] >= limits.max_per_address:
            if not is_within(address, limits.exempt):
                return False
        self.open += 1
        self._by_address[address] += 1
        return True

    def leave(self, address: str) -> None:
        self.open -= 1
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]


def room_for_connections(wanted: int) -> int:
    """As many of the `wanted` connections as the process's descriptors suffice for. Raises its
    limit of them as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard == resource.RLIM_INFINITY:
        return wanted
    return max(1, min(wanted, (hard - RESERVE) // PER_CONNECTION))
