"""How a request's work learns that its caller has left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NoReturn

from starlette.types import Message, Receive

from gateway.core.upstream_errors import client_stalled

GONE_S = 1.0
_CLOSED = "the handler is closed"
"""In uvloop's error for a write to a connection that the write before has found gone."""


class ClientGone(Exception):
    """The caller has left."""


async def await_disconnect(error: RuntimeError) -> NoReturn:
    """What a write to a closed connection waits for: uvicorn learns of its end in the loop's next
    round, and the work is cancelled then, as that of any caller who leaves. Any other error is
    raised again. Raises ClientStalled where nobody cancels."""
    if _CLOSED not in str(error):
        raise error
    await asyncio.sleep(GONE_S)
    raise client_stalled() from error


class Listening:
    """A block that is cancelled as soon as the caller leaves; it raises ClientGone instead.

    The body of the request must have been read. `complete`: whether the caller has all of its
    answer; from then on its leaving is nobody's loss, and uvicorn says that it has left.
    """

    def __init__(self, receive: Receive, complete: Callable[[], bool] = lambda: False) -> None:
        self._receive = receive
        self._complete = complete
        self._left = False

    async def __aenter__(self) -> None:
        self._task = asyncio.current_task()
        self._listener = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        message: Message = {"type": "http.request"}
        while message["type"] != "http.disconnect":
            message = await self._receive()
        if self._complete():
            return
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
