"""The mark that replicas leave in the store that they share, to see that it was emptied."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import structlog

from gateway.core.ports import Clock, StateTelemetry
from gateway.core.state.operations import Advance, Operation, Read
from gateway.errors import StateLost

MARK = "mark"
LOOK_EVERY_S = 1.0
KEPT_S = 90 * 86_400.0
RENEWED_S = 86_400.0
SHOWN_S = 86_400.0
"""For so long `problem` says that the store was emptied: until then devices that have not connected
since may still have to be enrolled again."""

log = structlog.get_logger("tierflow.state")


class Store(Protocol):
    """A store on a server; `run` as in the `StateStore` port."""

    async def run(self, *operations: Operation) -> list[Any]: ...


class StoreMark:
    """The mark in a store on a server: a random value that the first replica writes, and that all
    others read. A replica that finds it gone, or another in its place, knows that the store was
    emptied. `store` is the server's own, whose operations are not counted among those for callers.
    `places`: how many marks there are; a cluster has several, which lie on several nodes.

    What is emptied while no replica runs is not noticed: then the store looks like a new one.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        telemetry: StateTelemetry,
        new_id: Callable[[], str],
        places: int,
    ) -> None:
        self._store = store
        self._clock = clock
        self._telemetry = telemetry
        self._new_id = new_id
        self._names = [str(number) for number in range(places)]
        self._known: dict[str, bytes] = {}
        self._renewed: dict[str, float] = {}
        self._emptied_at: float | None = None

    async def run(self) -> None:
        """For ever, every LOOK_EVERY_S."""
        while True:
            await self.turn()
            await asyncio.sleep(LOOK_EVERY_S)

    async def turn(self) -> None:
        """Look at every mark, and write those that are missing. Nothing is done while the store is
        lost: that is reported elsewhere."""
        try:
            cells = await self._store.run(*(Read(MARK, name) for name in self._names))
            marks = dict(zip(self._names, cells, strict=True))
            if any(marks[name][1] != mark for name, mark in self._known.items()):
                self._note_emptied()
            for name, (number, mark) in marks.items():
                await self._keep(name, number, mark)
        except StateLost:
            pass

    def problem(self) -> str:
        """What the loss of the content means, for SHOWN_S; else empty."""
        if self._emptied_at is None or self._clock.now() - self._emptied_at > SHOWN_S:
            return ""
        return (
            "the shared state was emptied while the gateway ran: devices that were enrolled before "
            "must enrol again, and measured quality, idempotency keys and quotas began anew"
        )

    def _note_emptied(self) -> None:
        self._known = {}
        self._emptied_at = self._clock.now()
        self._telemetry.emptied()
        log.error("state_emptied", problem=self.problem())

    async def _keep(self, name: str, number: int, mark: bytes | None) -> None:
        """Remember the mark, write it where there is none, and see that it does not expire.

        Where another replica was first, the next look finds its mark. Raises StateLost.
        """
        now = self._clock.now()
        if mark is not None:
            self._known[name] = mark
            if now - self._renewed.setdefault(name, now) < RENEWED_S:
                return
        self._renewed[name] = now
        kept = mark if mark is not None else self._new_id().encode()
        (written,) = await self._store.run(
            Advance(kind=MARK, name=name, expected=number, value=kept, ttl_s=KEPT_S)
        )
        if written:
            self._known[name] = kept
