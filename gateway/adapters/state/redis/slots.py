"""Which node of a cluster has which slot."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from redis.crc import key_slot

from gateway.adapters.state.redis.connection import Address


class SlotMap:
    """The map of a cluster's slots to its masters. `ranges` are (first slot, last slot, the
    master's address)."""

    def __init__(self, ranges: Sequence[tuple[int, int, Address]]) -> None:
        self._ranges = sorted(ranges)
        self._firsts = [first for first, _, _ in self._ranges]
        self.masters = tuple(dict.fromkeys(address for _, _, address in self._ranges))

    def master_of(self, key: str) -> Address | None:
        """None where no node has the key's slot now."""
        slot = key_slot(key.encode())
        place = bisect_right(self._firsts, slot) - 1
        if place < 0 or self._ranges[place][1] < slot:
            return None
        return self._ranges[place][2]


def read_slots(reply: Sequence[Any], node: Address) -> SlotMap:
    """Of CLUSTER SLOTS: [first, last, [host, port, id, …] of the master, of replicas …], …; a node
    that does not know its own host's name leaves it out, and then it is this `node`."""
    ranges = []
    for first, last, (host, port, *_), *_ in reply:
        name = host.decode() if host else node[0]
        ranges.append((int(first), int(last), (name, int(port))))
    return SlotMap(ranges)
