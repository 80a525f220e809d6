"""Carries tokens from the scheduler to the one handler that answers the request."""

import asyncio
from collections.abc import AsyncIterator

from services.engine_simulator.engine.decoding import Token

Batch = list[tuple[int, Token]]


class TokenQueue:
    """The queue of one request's tokens, in order; it ends when every choice has finished."""

    def __init__(self, choices: int) -> None:
        self._open = choices
        self._items: Batch = []
        self._ready: asyncio.Event | None = None
        self.aborted = False

    @property
    def finished(self) -> bool:
        return self._open <= 0

    def put(self, choice: int, token: Token) -> None:
        self._items.append((choice, token))
        self._open -= token.finish_reason is not None
        if self._ready is not None:
            self._ready.set()

    def abort(self) -> None:
        """No token follows; `batches` ends at once and drops what is undelivered."""
        self.aborted = True
        if self._ready is not None:
            self._ready.set()

    async def batches(self) -> AsyncIterator[Batch]:
        """Yields what has arrived since the last time; never an empty batch."""
        self._ready = asyncio.Event()
        while not self.aborted:
            if self._items:
                batch, self._items = self._items, []
                yield batch
            elif self.finished:
                return
            else:
                self._ready.clear()
                await self._ready.wait()
