"""Work for a client that has gone is given up."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

from starlette.requests import Request as HttpRequest
from starlette.responses import Response


async def unless_left(http: HttpRequest, work: Coroutine[None, None, Response]) -> Response:
    """What `work` gives, whose request has been read. Cancels it when the client leaves."""
    working, leaving = asyncio.create_task(work), asyncio.create_task(_left(http))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            working.cancel()
            await asyncio.wait({working})
            return Response(status_code=499)
        return working.result()
    finally:
        leaving.cancel()
        working.cancel()


async def _left(http: HttpRequest) -> None:
    while (await http.receive())["type"] != "http.disconnect":
        pass
