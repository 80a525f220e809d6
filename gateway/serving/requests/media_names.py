"""The names that requests' pictures, sounds and films lie at, and where they lead."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from gateway.core.bodies.media_urls import MediaName, is_public_address
from gateway.core.bounded_dict import BoundedDict
from gateway.core.ports import Clock, NameLookup
from gateway.errors import InvalidRequest

KEEP_S = 30.0
MAX_NAMES = 4096


class MediaNames:
    """The names that requests name, looked up before an engine fetches what they lead to. What was
    found is kept for `KEEP_S` seconds. A name that is not found here passes: the engine may have
    another resolver, and finds nothing where there is nothing."""

    def __init__(self, lookup: NameLookup, clock: Clock) -> None:
        self._lookup = lookup
        self._clock = clock
        self._found: BoundedDict[str, tuple[float, bool]] = BoundedDict(MAX_NAMES)

    async def problem(self, names: Sequence[MediaName]) -> InvalidRequest | None:
        """Why one of them may not be fetched from; None: they all may."""
        good = await asyncio.gather(*(self._is_public(name.host) for name in names))
        for name, public in zip(names, good, strict=True):
            if not public:
                return InvalidRequest(
                    f"{name.field}: the host leads to an address that is not public; such hosts "
                    "must be listed (limits.media_hosts)",
                    param=name.field,
                    code="invalid_value",
                )
        return None

    async def _is_public(self, host: str) -> bool:
        now = self._clock.now()
        found = self._found.get(host)
        if found is None or found[0] <= now:
            addresses = await self._lookup.addresses(host)
            found = now + KEEP_S, all(map(is_public_address, addresses))
            self._found[host] = found
        return found[1]
