"""A store on a server, and what is done when it is lost: nothing blocks, and it comes back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, Protocol

from gateway.adapters.state.health import StateWatch
from gateway.adapters.state.memory import MemoryStore
from gateway.core.ports import Clock, StateStore, StateTelemetry
from gateway.core.state.circuit import Circuit
from gateway.core.state.operations import Advance, Claim, Complete, Operation
from gateway.errors import StateLost

LOST = "state_lost"
ONCE = (Advance, Claim, Complete)
"""What must happen in one place alone. Before the loss is known the others go on at the server."""


class ServedStore(StateStore, Protocol):
    """A store on a server, which can be lost."""

    def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def look(self) -> None: ...


class FailoverStore:
    """A `StateStore`. With a `local` one, which stands in while the server is lost; without, every
    call raises StateLost at once until it is back.

    What was stored meanwhile is forgotten at the return, and after failures that came to no loss:
    the server's state counts.
    """

    def __init__(
        self,
        *,
        store: ServedStore,
        local: MemoryStore | None,
        clock: Clock,
        telemetry: StateTelemetry,
        uniform: Callable[[], float],
        circuit: Circuit | None = None,
    ) -> None:
        self._store, self._local = store, local
        self._clock, self._telemetry = clock, telemetry
        self._watch = StateWatch(
            look=store.look,
            returned=(lambda: None) if local is None else local.clear,
            rule="closed" if local is None else "open",
            clock=clock,
            uniform=uniform,
            circuit=circuit or Circuit(),
        )

    def without_local(self) -> FailoverStore:
        """The same store and the same looks at it, and nothing that stands in. Neither started nor
        stopped by itself."""
        strict = copy(self)
        strict._local = None
        return strict

    async def start(self) -> None:
        self._store.start()
        await self._watch.start()

    async def stop(self) -> None:
        try:
            await self._watch.stop()
        finally:
            await self._store.stop()

    def problem(self) -> str | None:
        if not self._watch.lost:
            return self._store.problem()
        rule = "every replica goes on with its own"
        if self._local is None:
            rule = "what needs it is refused"
        return f"{self._watch.problem}; {rule} until it is back"

    async def run(self, *operations: Operation) -> list[Any]:
        if self._watch.lost:
            return await self._without(operations)
        started = self._clock.now()
        try:
            results = await self._store.run(*operations)
        except StateLost as error:
            if error.code != LOST:
                self._count(operations, "refused")
                raise
            self._telemetry.round_trip(self._clock.now() - started)
            self._watch.failed(error)
            if not self._watch.lost and any(isinstance(each, ONCE) for each in operations):
                self._count(operations, "lost")
                raise
            return await self._without(operations)
        self._watch.succeeded()
        self._telemetry.round_trip(self._clock.now() - started)
        self._count(operations, "ok")
        return results

    async def publish(self, channel: str, message: bytes) -> None:
        """Raises StateLost also with a local store when it is lost at this message: it may have
        arrived, and must not arrive twice."""
        if self._watch.lost:
            self._telemetry.operations("publish", "lost" if self._local is None else "local", 1)
            if self._local is None:
                raise self._error()
            return await self._local.publish(channel, message)
        try:
            await self._store.publish(channel, message)
        except StateLost as error:
            lost = error.code == LOST
            self._telemetry.operations("publish", "lost" if lost else "refused", 1)
            if lost:
                self._watch.failed(error)
            raise
        self._telemetry.operations("publish", "ok", 1)

    async def listen(self, channel: str, receive: Callable[[bytes], None]) -> Callable[[], None]:
        stop_local = None if self._local is None else await self._local.listen(channel, receive)
        stop = await self._store.listen(channel, receive)

        def stop_both() -> None:
            stop()
            if stop_local is not None:
                stop_local()

        return stop_both

    async def _without(self, operations: Sequence[Operation]) -> list[Any]:
        self._count(operations, "lost" if self._local is None else "local")
        if self._local is None:
            raise self._error()
        return await self._local.run(*operations)

    def _error(self) -> StateLost:
        return StateLost(self._watch.problem, retry_after=1.0, code=LOST)

    def _count(self, operations: Sequence[Operation], outcome: str) -> None:
        for name, number in Counter(type(each).__name__.lower() for each in operations).items():
            self._telemetry.operations(name, outcome, number)
