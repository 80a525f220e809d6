"""Gives up the work for a client that has disconnected."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

from starlette.requests import Request as HttpRequest
from starlette.responses import Response


async def cancel_on_disconnect(
    http: HttpRequest, work: Coroutine[None, None, Response]
) -> Response:
    """The response that `work` gives. Cancels it when the client disconnects before.

    The body of the request must have been read.
    """
    working, disconnect = asyncio.create_task(work), asyncio.create_task(_disconnect(http))
    try:
        await asyncio.wait({working, disconnect}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            working.cancel()
            await asyncio.wait({working})
            return Response(status_code=499)
        return working.result()
    finally:
        disconnect.cancel()
        working.cancel()


async def _disconnect(http: HttpRequest) -> None:
    while (await http.receive())["type"] != "http.disconnect":
        pass
