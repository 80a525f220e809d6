"""Looks whether a store on a server can be used, and says when it is lost and when it is back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from gateway.core.ports import Clock
from gateway.core.state.circuit import Circuit
from gateway.errors import StateLost

LOOK_EVERY_S = 1.0
"""While nobody asks it anything: a loss must show before it hurts."""

log = structlog.get_logger("tierflow.state")


class StateWatch:
    """The watch over a store on a server. `look` raises StateLost. `rule` is for the log,
    `returned` is called at a look that succeeds after failures, whether or not they came to a
    loss.

    `lost` is whether callers must do without, and `problem` why.
    """

    def __init__(
        self,
        *,
        look: Callable[[], Awaitable[None]],
        returned: Callable[[], None],
        rule: str,
        clock: Clock,
        uniform: Callable[[], float],
        circuit: Circuit,
    ) -> None:
        self._try, self._returned, self._rule = look, returned, rule
        self._clock, self._uniform, self._circuit = clock, uniform, circuit
        self._trouble = asyncio.Event()
        self._succeeded_at = self._lost_at = 0.0
        self._watching: asyncio.Task[None] | None = None
        self.lost = False
        self.problem = ""

    async def start(self) -> None:
        """Looks once, so that a store that is away is known from the start."""
        await self._check()
        if self._circuit.suspicious:
            self._circuit.trip()
            self._judge()
        self._watching = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    def succeeded(self) -> None:
        """A caller was served."""
        self._succeeded_at = self._clock.now()

    def failed(self, error: StateLost) -> None:
        """A caller was not."""
        self._circuit.fail()
        self.problem = error.message
        self._judge()
        if not self.lost:
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
                await self._check()
            self._trouble.clear()

    async def _check(self) -> None:
        try:
            await self._try()
        except StateLost as error:
            self.problem = error.message
            self._circuit.look_failed()
        except Exception as error:
            # Whatever it was: the looks must go on, or it never comes back.
            self.problem = f"the shared state can't be looked at: {type(error).__name__}"
            self._circuit.look_failed()
        else:
            self.succeeded()
            if self._circuit.suspicious:
                self._circuit.look_succeeded()
                self._returned()
        self._judge()

    def _judge(self) -> None:
        """Say it once when the store is lost, and once when it is back."""
        if self._circuit.open == self.lost:
            return
        self.lost = self._circuit.open
        if self.lost:
            self._lost_at = self._clock.now()
            log.warning("state_lost", problem=self.problem, when_lost=self._rule)
            return
        log.info("state_back", lost_s=round(self._clock.now() - self._lost_at, 3))
