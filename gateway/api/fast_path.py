"""The front door: inference calls take the short way, everything else goes to FastAPI."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.api.inference import PATHS
from gateway.protocol.paths import read_route


class FastPath:
    """The switch that takes inference calls past FastAPI. A route inside FastAPI would cost a
    third more CPU per request than this look-up."""

    def __init__(self, inference: ASGIApp, rest: ASGIApp) -> None:
        self._inference = inference
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._rest(scope, receive, send)
        elif scope["method"] == "POST" and scope["path"] in PATHS:
            await self._inference(scope, receive, send)
        elif read_route(scope["method"], scope["path"]) is not None:
            await self._inference(scope, receive, send)
        else:
            await self._rest(scope, receive, send)
