"""A store on a server, and what is done when it is lost: nothing blocks, and it comes back."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import structlog

from gateway.adapters.memory_store import MemoryStore
from gateway.core.ports import Clock, StateStore, StateTelemetry
from gateway.core.state.circuit import Circuit
from gateway.core.state.operations import Operation
from gateway.errors import StateLost

LOOK_EVERY_S = 1.0
"""While nobody asks it anything: a loss must show before it hurts."""
LOST = "state_lost"

log = structlog.get_logger("tierflow.state")


class ServedStore(StateStore, Protocol):
    def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def look(self) -> None: ...


class FailingOver:
    """A `StateStore`. With a `local` one, which stands in while the server is lost; without, every
    call raises StateLost at once until it is back.

    What was stored meanwhile is forgotten at the return: the server's state counts.
    """

    def __init__(
        self,
        store: ServedStore,
        local: MemoryStore | None,
        clock: Clock,
        telemetry: StateTelemetry,
        uniform: Callable[[], float],
        circuit: Circuit | None = None,
    ) -> None:
        self._store, self._local = store, local
        self._clock, self._telemetry = clock, telemetry
        self._uniform = uniform
        self._circuit = circuit or Circuit()
        self._trouble = asyncio.Event()
        self._succeeded_at = self._lost_at = 0.0
        self._problem = ""
        self._lost = False
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Looks once, so that a store that is away is known from the start."""
        self._store.start()
        await self._look()
        if self._circuit.suspicious:
            self._circuit.trip()
            self._judge()
        self._watching = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        await self._store.stop()

    def problem(self) -> str | None:
        if not self._lost:
            return self._store.problem()
        rule = (
            "every replica goes on with its own"
            if self._local is not None
            else "what needs it is refused"
        )
        return f"{self._problem}; {rule} until it is back"

    async def run(self, *operations: Operation) -> list[Any]:
        if self._circuit.open:
            return await self._without(operations)
        started = self._clock.now()
        try:
            results = await self._store.run(*operations)
        except StateLost as error:
            if error.code != LOST:
                self._count(operations, "refused")
                raise
            self._telemetry.round_trip(self._clock.now() - started)
            self._fail(error)
            return await self._without(operations)
        self._succeeded_at = self._clock.now()
        self._telemetry.round_trip(self._succeeded_at - started)
        self._count(operations, "ok")
        return results

    async def publish(self, channel: str, message: bytes) -> None:
        """Raises StateLost also with a local store when it is lost at this message: it may have
        arrived, and must not arrive twice."""
        if self._circuit.open:
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
                self._fail(error)
            raise
        self._telemetry.operations("publish", "ok", 1)

    async def listen(self, channel: str, take: Callable[[bytes], None]) -> Callable[[], None]:
        stop_local = None if self._local is None else await self._local.listen(channel, take)
        stop = await self._store.listen(channel, take)

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
        return StateLost(self._problem, retry_after=1.0, code=LOST)

    def _count(self, operations: Sequence[Operation], outcome: str) -> None:
        for name, number in Counter(type(each).__name__.lower() for each in operations).items():
            self._telemetry.operations(name, outcome, number)

    def _fail(self, error: StateLost) -> None:
        self._circuit.fail()
        self._problem = error.message
        self._judge()
        if not self._lost:
            self._trouble.set()

    async def _watch(self) -> None:
        while True:
            pause = LOOK_EVERY_S
            if self._circuit.suspicious:
                pause = self._circuit.pause_s(self._uniform())
            try:
                async with asyncio.timeout(pause):
                    await self._trouble.wait()
            except TimeoutError:
                pass
            quiet = self._clock.now() - self._succeeded_at >= LOOK_EVERY_S
            if self._circuit.suspicious or quiet:
                await self._look()
            self._trouble.clear()

    async def _look(self) -> None:
        try:
            await self._store.look()
        except StateLost as error:
            self._problem = error.message
            self._circuit.look_failed()
        except Exception as error:
            # Whatever it was: the looks must go on, or it never comes back.
            self._problem = f"the shared state can't be looked at: {type(error).__name__}"
            self._circuit.look_failed()
        else:
            self._succeeded_at = self._clock.now()
            self._circuit.look_succeeded()
        self._judge()

    def _judge(self) -> None:
        """Say it once when the store is lost, and once when it is back."""
        if self._circuit.open == self._lost:
            return
        self._lost = self._circuit.open
        if self._lost:
            self._lost_at = self._clock.now()
            rule = "closed" if self._local is None else "open"
            log.warning("state_lost", problem=self._problem, when_lost=rule)
            return
        if self._local is not None:
            self._local.clear()
        log.info("state_back", lost_s=round(self._clock.now() - self._lost_at, 3))
