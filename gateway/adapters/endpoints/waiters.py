"""Who waits for a place at an endpoint, in the order in which they came."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.core.types import EndpointState


class Turns:
    """The queue of requests that wait for a place at an endpoint. Everything here runs in one
    event loop."""

    def __init__(self) -> None:
        self._waiting: dict[
            asyncio.Future[EndpointState | None], Callable[[EndpointState], bool]
        ] = {}

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def called(self) -> int:
        """How many were woken and have not run yet."""
        return sum(turn.done() for turn in self._waiting)

    async def wait(self, takes: Callable[[EndpointState], bool]) -> EndpointState | None:
        """Until `call_all` (None), or `call_one` for an endpoint that it `takes` (that one).

        Who is woken by a place and then leaves it must `call_one` for it: this does so itself
        when it is cancelled in between.
        """
        turn: asyncio.Future[EndpointState | None] = asyncio.get_running_loop().create_future()
        self._waiting[turn] = takes
        try:
            return await turn
        except asyncio.CancelledError:
            place = turn.result() if turn.done() and not turn.cancelled() else None
            if place is not None:
                self.call_one(place)
            raise
        finally:
            del self._waiting[turn]

    def call_all(self) -> None:
        for turn in self._waiting:
            if not turn.done():
                turn.set_result(None)

    def call_one(self, state: EndpointState) -> None:
        """A place became free there: the first who takes it is woken, and nobody else."""
        for turn, takes in self._waiting.items():
            if not turn.done() and takes(state):
                turn.set_result(state)
                return
