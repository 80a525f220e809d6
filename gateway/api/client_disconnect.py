"""How a request's work learns that its caller has left."""

from __future__ import annotations

import asyncio

from starlette.types import Message, Receive


class ClientGone(Exception):
    """The caller has left."""


class Listening:
    """A block that is cancelled as soon as the caller leaves; it raises ClientGone instead.

    The body of the request must have been read.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._left = False

    async def __aenter__(self) -> None:
        self._task = asyncio.current_task()
        self._listener = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        message: Message = {"type": "http.request"}
        while message["type"] != "http.disconnect":
            message = await self._receive()
        self._left = True
        if self._task is not None:
            self._task.cancel()

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # The listener's error holds its frame, and that this block: what the block went on holding
        # would be a cycle, and wait with the whole request for the collector.
        listener, task = self._listener, self._task
        del self._listener, self._task
        listener.cancel()
        if self._left and task is not None:
            task.uncancel()
            if kind is asyncio.CancelledError:
                raise ClientGone
