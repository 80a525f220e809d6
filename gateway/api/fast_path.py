"""The front door: inference calls take the short way, everything else goes to FastAPI, HEAD as the
GET whose head it asks for."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.api.inference import PATHS
from gateway.api.listeners import for_callers
from gateway.protocol.paths import STREAMS, read_route


class FastPath:
    """The switch that takes inference calls past FastAPI. A route inside FastAPI would cost a
    third more CPU per request than this look-up."""

    def __init__(self, inference: ASGIApp, rest: ASGIApp) -> None:
        self._inference = inference
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._rest(scope, receive, send)
            return
        path = scope["path"]
        if path[-1:] == "/" and path[-2:] != "//" and for_callers(path[:-1]):
            # An engine redirects here, and many clients lose the body on the way.
            path = path[:-1]
            scope = {**scope, "path": path}
        if scope["method"] == "POST" and path in PATHS:
            await self._inference(scope, receive, send)
        elif read_route(scope["method"], path) is not None:
            await self._inference(scope, receive, send)
        else:
            await self._rest(scope, receive, send)


class HeadRequests:
    """What answers HEAD at every route of `app` that has GET, but for streams: an answer to GET, of
    which the server leaves out the body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "HEAD":
            if not scope["path"].startswith(f"{STREAMS}/"):
                scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)
