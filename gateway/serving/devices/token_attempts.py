"""Wrong tokens of devices and of enrolments, counted by the address that sends them, over all
replicas."""

from __future__ import annotations

from collections.abc import Collection

from gateway.core.access.networks import Network, is_within
from gateway.core.bounded_dict import BoundedDict
from gateway.core.ports import Clock, StateStore
from gateway.core.state.operations import Spend
from gateway.errors import TooManyAttempts

AT_ONCE, PER_S = 10.0, 1 / 6
MAX_BARRED = 4096
"""Addresses that are remembered here; the store knows the rest."""


class TokenAttempts:
    """The count of wrong tokens, which bars an address for a while after too many of them. The
    count is shared by all replicas; the end of the bar is remembered here, so that further attempts
    cost no round trip. `exempt`: networks of proxies, whose addresses many share."""

    def __init__(self, store: StateStore, clock: Clock, exempt: Collection[Network] = ()) -> None:
        self._store = store
        self._clock = clock
        self._exempt = exempt
        self._barred_until = BoundedDict[str, float](MAX_BARRED)

    def check(self, address: str) -> None:
        """Raises TooManyAttempts while the address is barred, unless it is one that many share. No
        round trip."""
        if not is_within(address, self._exempt):
            self._check(address)

    def _check(self, address: str) -> None:
        wait_s = self._barred_until.get(address, 0.0) - self._clock.now()
        if wait_s > 0:
            raise _too_many(wait_s)

    async def count_wrong(self, address: str) -> None:
        """One more wrong token. Raises TooManyAttempts when it was one too many, StateLost."""
        self._check(address)
        (wait_s,) = await self._store.run(
            Spend(kind="quota", name=f"enrol/{address}", amount=1.0, burst=AT_ONCE, per_s=PER_S)
        )
        if wait_s > 0:
            self._barred_until[address] = self._clock.now() + wait_s
            raise _too_many(wait_s)


def _too_many(wait_s: float) -> TooManyAttempts:
    return TooManyAttempts(
        "too many wrong tokens from this address; try again later",
        retry_after=wait_s,
        code="too_many_attempts",
    )
