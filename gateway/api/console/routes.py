"""What the console is told: the map of what there is, and requests as they end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from starlette.types import Receive, Scope, Send

from gateway.api.client_disconnect import ClientGone, Listening
from gateway.api.description.responses import OF_OPERATORS, Responses, error_responses
from gateway.api.operators.admin_token import AdminGate
from gateway.core.ports import Clock
from gateway.core.streams.event_log import read_event_id
from gateway.core.upstream_errors import client_stalled
from gateway.errors import ClientStalled, Draining, Overloaded
from gateway.protocol.console import ConsoleMap
from gateway.protocol.headers import LAST_EVENT_ID
from gateway.serving.console.feed import Feed
from gateway.serving.requests.progress_timeout import ProgressTimeout

PATH = "/v1/admin/console"
MAP_EVERY_S = 1.0
STALLED_S = 30.0
"""A console that takes nothing for so long has gone."""
_EVENTS: Responses = {
    200: {
        "description": "events `map` (a ConsoleMap, when it has changed) and `request` (a "
        "RequestSummary, with an id to come back to by `last-event-id`)",
        "content": {"text/event-stream": {}},
    }
}


_OPEN_ON_A_LAPTOP: dict[str, Any] = {"security": [{}]}
"""Beside the admin token: nothing, where the gate lets everybody in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleSource:
    """What there is to see. `draining`: the gateway is about to stop."""

    feed: Feed
    map: Callable[[], ConsoleMap]
    draining: Callable[[], bool]
    clock: Clock


def console_router(gate: AdminGate, source: ConsoleSource) -> APIRouter:
    router = APIRouter(tags=["operations"], dependencies=[Depends(gate)])

    @router.get(
        f"{PATH}/map",
        summary="What there is now: pools, endpoints, registered devices, what is degraded",
        responses=error_responses(*OF_OPERATORS),
        openapi_extra=_OPEN_ON_A_LAPTOP,
    )
    async def shown_map() -> ConsoleMap:
        return source.map()

    @router.get(
        f"{PATH}/events",
        summary="The map as it changes, and requests as they end",
        response_class=Response,
        responses=error_responses(*OF_OPERATORS, "too_many_consoles", "draining") | _EVENTS,
        openapi_extra=_OPEN_ON_A_LAPTOP,
    )
    async def events(request: Request) -> Response:
        if source.draining():
            raise Draining("the gateway is about to stop", retry_after=5.0, code="draining")
        if source.feed.full:
            raise Overloaded(
                "as many consoles look as may", retry_after=10.0, code="too_many_consoles"
            )
        return ConsoleEvents(source, request.headers.get(LAST_EVENT_ID, ""))

    return router


class ConsoleEvents(Response):
    """The stream of events for one console."""

    def __init__(self, source: ConsoleSource, last: str) -> None:
        super().__init__(
            media_type="text/event-stream",
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )
        del self.headers["content-length"]
        self._source = source
        life, number = read_event_id(last) or ("", 0)
        self._after = number if life == source.feed.name else 0
        self._map, self._map_at = b"", float("-inf")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with Listening(receive):
                await self._stream(send)
        except (ClientGone, ClientStalled):
            pass

    async def _stream(self, send: Send) -> None:
        source, headers = self._source, self.raw_headers
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        with source.feed.watch(self._after) as watch:
            requests: bytes = b""
            while not source.draining():
                body = self._changed_map() + requests
                await self._send(send, body or b": nothing new\n\n", more=True)
                news = await watch.news(MAP_EVERY_S)
                requests = b"".join(self._event(number, made) for number, made in news)
        await self._send(send, b"", more=False)

    async def _send(self, send: Send, body: bytes, *, more: bool) -> None:
        """Raises ClientStalled."""
        with ProgressTimeout(self._source.clock.now) as timeout:
            timeout.expect(STALLED_S, client_stalled)
            await send({"type": "http.response.body", "body": body, "more_body": more})

    def _event(self, number: int, made: bytes) -> bytes:
        mark = f"id: {self._source.feed.name}:{number}\nevent: request\ndata: ".encode()
        return mark + made + b"\n\n"

    def _changed_map(self) -> bytes:
        """At most every MAP_EVERY_S, as an event; nothing where it is as it was."""
        now = self._source.clock.now()
        if now < self._map_at + MAP_EVERY_S:
            return b""
        self._map_at = now
        made = self._source.map().model_dump_json().encode()
        if made == self._map:
            return b""
        self._map = made
        return b"event: map\ndata: " + made + b"\n\n"
