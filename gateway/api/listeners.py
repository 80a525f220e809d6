"""What of the gateway is for callers and devices, and what is for operators alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import orjson
from fastapi.security import HTTPAuthorizationCredentials
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.api.console.pages import PREFIX as CONSOLE
from gateway.api.description.pages import callers_page
from gateway.api.error_handlers import error_body, other_method, render
from gateway.api.inference import PATHS
from gateway.api.operators.admin_token import AdminGate
from gateway.api.requests.request_headers import peer_address
from gateway.core.access.key import bearer_token
from gateway.errors import GatewayError
from gateway.protocol.device_link.devices import ENROL_PATH
from gateway.protocol.device_link.speculation import PATH as DEVICES
from gateway.protocol.paths import RESPONSES, STREAMS, VERSION
from gateway.protocol.requests.collective import FEEDBACK_PATH

ROOT, READY, HEALTH, MODELS = "/", "/ready", "/health", "/v1/models"
FOR_CALLERS = PATHS | {MODELS, FEEDBACK_PATH, ENROL_PATH, DEVICES, READY, HEALTH, VERSION}
FOR_CALLERS_BELOW = (f"{MODELS}/", f"{STREAMS}/", f"{RESPONSES}/")
_READ = ("GET", "HEAD", "OPTIONS")
METHODS: Mapping[str, Sequence[str]] = {ROOT: _READ, READY: _READ, ENROL_PATH: ("OPTIONS", "POST")}
"""Of the routes that are answered here, and of the callers' one among paths of operators': by
another method it is `/v1/devices/{id}`."""
FOR_OPERATORS = frozenset({"/metrics", "/docs", "/openapi.json", "/v1/devices"})
FOR_OPERATORS_BELOW = ("/v1/admin/", "/v1/devices/", "/docs/", CONSOLE)


def for_callers(path: str) -> bool:
    return path in FOR_CALLERS or path.startswith(FOR_CALLERS_BELOW)


def for_operators(path: str) -> bool:
    known = path in FOR_OPERATORS or path.startswith(FOR_OPERATORS_BELOW)
    return known and not for_callers(path)


class PublicRoutes:
    """The side of `app` that strangers reach: a path that is not known to be for callers does not
    get through, and `/ready` says no more than whether the gateway is.

    `gate` lets operators through to what is theirs; None: they have an address of their own, and
    here it does not exist. `ready` is what `/ready` says.
    """

    def __init__(self, app: ASGIApp, *, gate: AdminGate | None, ready: Callable[[], bool]) -> None:
        self._app = app
        self._gate = gate
        self._ready = ready

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if scope["type"] == "http" and path == DEVICES:
            await _not_found(scope)(scope, receive, send)
        elif _by_other_method(scope):
            await _other_method(scope)(scope, receive, send)
        elif scope["type"] == "websocket" or (path != READY and for_callers(path)):
            await self._app(scope, receive, send)
        elif path == READY:
            await self._show_readiness(scope, receive, send)
        elif path == ROOT and self._gate is None:
            await callers_page(str(Request(scope).base_url))(scope, receive, send)
        elif self._gate is None or not (path == ROOT or for_operators(path)):
            await _not_found(scope)(scope, receive, send)
        elif path == ROOT or path.startswith(CONSOLE):
            # The console's page and its files tell nothing: what they show, they have to ask for.
            await self._app(scope, receive, send)
        else:
            try:
                self._check_operator(self._gate, scope)
            except GatewayError as error:
                status, headers, body = render(error)
                await _json(status, body, headers)(scope, receive, send)
            else:
                await self._app(scope, receive, send)

    async def _show_readiness(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Whole for an operator who says so, and its outcome for everybody else."""
        if self._gate is not None and _authorization(scope) is not None:
            try:
                self._check_operator(self._gate, scope)
                await self._app(scope, receive, send)
                return
            except GatewayError:
                pass
        ready = self._ready()
        answer = _json(200 if ready else 503, orjson.dumps({"ready": ready}))
        await answer(scope, receive, send)

    @staticmethod
    def _check_operator(gate: AdminGate, scope: Scope) -> None:
        """Raises Denied and Unauthenticated."""
        gate(_authorization(scope), peer_address(scope))


class OperatorRoutes:
    """The side of `app` at the operators' own address: what is theirs, and nothing of callers'."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path == ROOT and _by_other_method(scope):
            await _other_method(scope)(scope, receive, send)
        elif scope["type"] == "http" and (path in (ROOT, READY, HEALTH) or for_operators(path)):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await _not_found(scope)(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000, "reason": ""})


def _authorization(scope: Scope) -> HTTPAuthorizationCredentials | None:
    """The bearer token that a request shows."""
    shown = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    token = bearer_token(shown.decode("latin-1"))
    return HTTPAuthorizationCredentials(scheme="Bearer", credentials=token) if token else None


def _by_other_method(scope: Scope) -> bool:
    """Whether a route of `METHODS` is asked which methods it has, or by one that it has not."""
    if scope["type"] != "http" or scope["path"] not in METHODS:
        return False
    return scope["method"] == "OPTIONS" or scope["method"] not in METHODS[scope["path"]]


def _other_method(scope: Scope) -> Response:
    return other_method(scope["method"], scope["path"], METHODS[scope["path"]])


def _not_found(scope: Scope) -> Response:
    message = f"{scope['method']} {scope['path']}: Not Found"
    return _json(404, error_body(message, "invalid_request_error", code="not_found"))


def _json(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> Response:
    return Response(body, status, headers, "application/json")
