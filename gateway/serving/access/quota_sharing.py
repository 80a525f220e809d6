"""Replicas share keys' quotas: each lets requests in by its own buckets, and tells the shared store
in the background what was drawn from them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

import msgspec

from gateway.core.access.quota import KeyUse, QuotaBucket
from gateway.core.ports import Clock, StateStore
from gateway.core.state.bounds import slices
from gateway.core.state.operations import Draw, Held, Hold
from gateway.errors import StateLost
from gateway.protocol.device_link.decoding import UNREADABLE
from gateway.serving.access.quotas import KeyQuotas

PERIOD_S = 0.5
ACTIVE_S = 60.0
"""A key that nobody has used here for as long is not asked about."""
QUOTA, IN_FLIGHT = "key-quota", "keys-in-flight"
IN_FLIGHT_TTL_S = 5.0
"""A replica that has ended has nothing in flight after this."""


class QuotaSharing:
    """The task that brings the buckets of all replicas together, every PERIOD_S.

    Between two turns a replica knows only its own requests: at most it lets in what was left when
    it heard last. While the store is lost each goes on with its own, and tells afterwards what was
    drawn meanwhile; what was told when the answer was lost may count twice. What others have in
    flight counts for IN_FLIGHT_TTL_S after it was heard, as it counts for others.
    """

    def __init__(self, *, store: StateStore, quotas: KeyQuotas, replica: str, clock: Clock) -> None:
        self._store = store
        self._quotas = quotas
        self._replica = replica
        self._clock = clock
        self._counted_at = float("-inf")

    async def run(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(PERIOD_S)
            try:
                await self.turn()
            except StateLost:
                pass

    async def turn(self) -> None:
        """Raises StateLost."""
        if self._clock.now() - self._counted_at > IN_FLIGHT_TTL_S:
            self._forget_others()
        since = self._clock.now() - ACTIVE_S
        active = {
            name: use
            for name, use in self._quotas.uses.items()
            if use.in_flight or use.others_in_flight or use.used_at >= since
        }
        buckets = [pair for name, use in active.items() for pair in _buckets(name, use)]
        for some in slices(buckets):
            await self._draw(some)
        if any(use.quotas.in_flight is not None for use in active.values()):
            await self._count_in_flight()

    async def _draw(self, buckets: Sequence[tuple[str, QuotaBucket]]) -> None:
        """One round trip. What is drawn while it is under way is told at the next turn."""
        told = [bucket.undelivered for _, bucket in buckets]
        levels = await self._store.run(
            *(
                Draw(kind=QUOTA, name=name, drawn=drawn, burst=bucket.limit, per_s=bucket.per_s)
                for (name, bucket), drawn in zip(buckets, told, strict=True)
            )
        )
        now = self._clock.now()
        for (_, bucket), drawn, level in zip(buckets, told, levels, strict=True):
            bucket.adopt(level, drawn, now)

    async def _count_in_flight(self) -> None:
        uses = self._quotas.uses
        mine = {name: use.in_flight for name, use in uses.items() if use.in_flight}
        _, held = await self._store.run(
            Hold(
                kind=IN_FLIGHT,
                name=self._replica,
                holder=self._replica,
                value=msgspec.msgpack.encode(mine),
                ttl_s=IN_FLIGHT_TTL_S,
            ),
            Held(IN_FLIGHT),
        )
        others: Counter[str] = Counter()
        for replica, value in held.items():
            if replica != self._replica:
                others.update(_decode(value))
        self._counted_at = self._clock.now()
        for name, use in uses.items():
            use.others_in_flight = others[name]

    def _forget_others(self) -> None:
        for use in self._quotas.uses.values():
            use.others_in_flight = 0


def _decode(value: bytes) -> dict[str, int]:
    """What a replica has in flight, by the key's owner; nothing where that can't be read, as a
    replica of another version may say it in another way."""
    try:
        return msgspec.msgpack.decode(value, type=dict[str, int])
    except UNREADABLE:
        return {}


def _buckets(owner: str, use: KeyUse) -> list[tuple[str, QuotaBucket]]:
    """The buckets of the key of this owner, by their names in the store."""
    named = (
        ("requests", use.requests),
        ("tokens", use.tokens),
        ("day-tokens", use.day_tokens),
    )
    return [(f"{owner}/{what}", bucket) for what, bucket in named if bucket is not None]
