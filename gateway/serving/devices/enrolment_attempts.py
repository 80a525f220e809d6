"""Wrong enrolment tokens, counted by the address that sends them, over all replicas."""

from __future__ import annotations

from collections import OrderedDict

from gateway.core.ports import Clock, StateStore
from gateway.core.state.operations import Spend
from gateway.errors import TooManyAttempts

AT_ONCE, PER_S = 10.0, 1 / 6
REMEMBERED = 4096


class EnrolmentAttempts:
    def __init__(self, store: StateStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._barred: OrderedDict[str, float] = OrderedDict()

    def check(self, address: str) -> None:
        """Raises TooManyAttempts while the address is barred. Costs no round trip."""
        left = self._barred.get(address, 0.0) - self._clock.now()
        if left > 0:
            raise _too_many(left)

    async def wrong(self, address: str) -> None:
        """One more. Raises TooManyAttempts when that was one too many, StateLost."""
        (wait_s,) = await self._store.run(
            Spend(kind="quota", name=f"enrol/{address}", amount=1.0, burst=AT_ONCE, per_s=PER_S)
        )
        if wait_s > 0:
            self._barred[address] = self._clock.now() + wait_s
            self._barred.move_to_end(address)
            if len(self._barred) > REMEMBERED:
                self._barred.popitem(last=False)
            raise _too_many(wait_s)


def _too_many(left_s: float) -> TooManyAttempts:
    return TooManyAttempts(
        "too many wrong enrolment tokens from this address; try again later",
        retry_after=left_s,
        code="too_many_attempts",
    )
