"""Requests that wait for a slot at an endpoint, in the order in which they came."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.core.types import EndpointState


class EndpointWaiters:
    """The queue of requests that wait for a slot at an endpoint. Everything here runs in one
    event loop."""

    def __init__(self) -> None:
        self._waiting: dict[
            asyncio.Future[EndpointState | None], Callable[[EndpointState], bool]
        ] = {}

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def woken(self) -> int:
        """How many were woken and have not run yet."""
        return sum(waiter.done() for waiter in self._waiting)

    async def wait(self, usable: Callable[[EndpointState], bool]) -> EndpointState | None:
        """Until `wake_all` (gives None), or `wake_one` for an endpoint that is `usable` (gives
        that one).

        A request that is woken for a slot and does not use it must `wake_one` for it. This
        function does so itself when it is cancelled in between.
        """
        waiter: asyncio.Future[EndpointState | None] = asyncio.get_running_loop().create_future()
        self._waiting[waiter] = usable
        try:
            return await waiter
        except asyncio.CancelledError:
            slot = waiter.result() if waiter.done() and not waiter.cancelled() else None
            if slot is not None:
                self.wake_one(slot)
            raise
        finally:
            del self._waiting[waiter]

    def wake_all(self) -> None:
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)

    def wake_one(self, state: EndpointState) -> None:
        """A slot became free there: the first request that can use it is woken, and no other."""
        for waiter, usable in self._waiting.items():
            if not waiter.done() and usable(state):
                waiter.set_result(state)
                return
