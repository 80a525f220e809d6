"""The one place where our errors get an HTTP status and become OpenAI error bodies."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException

from gateway import errors
from gateway.api.caller_key import RATE_HEADERS
from gateway.protocol.errors.field_problems import field_problem
from gateway.protocol.openai import ErrorBody, ErrorDetail
from gateway.protocol.paths import allowed_methods

log = structlog.get_logger("tierflow.api")

_FRAMEWORK_CODES = {404: "not_found", 500: "internal_error"}

LONGEST_RETRY_S = 60.0
"""OpenAI's clients heed no longer `Retry-After`, and would come back at once."""

# Most specific first: the first class that fits decides.
_STATUS: Mapping[type[errors.GatewayError], tuple[int, str]] = {
    errors.BodyTooLarge: (413, "invalid_request_error"),
    errors.EncodedBody: (415, "invalid_request_error"),
    errors.UnknownModel: (404, "invalid_request_error"),
    errors.UnknownDevice: (404, "invalid_request_error"),
    errors.UnknownKey: (404, "invalid_request_error"),
    errors.UnknownStream: (404, "invalid_request_error"),
    errors.UnknownResponse: (404, "invalid_request_error"),
    errors.InvalidRequest: (400, "invalid_request_error"),
    errors.InvalidKey: (401, "invalid_request_error"),
    errors.Unauthenticated: (401, "authentication_error"),
    errors.Denied: (403, "permission_error"),
    errors.TooManyAttempts: (429, "rate_limit_error"),
    errors.Conflict: (409, "conflict_error"),
    errors.StreamGone: (410, "gone_error"),
    errors.RequestRateExceeded: (429, "requests"),
    errors.TokenRateExceeded: (429, "tokens"),
    errors.QuotaSpent: (429, "insufficient_quota"),
    errors.QuotaExceeded: (429, "rate_limit_error"),
    errors.StateLost: (503, "service_unavailable_error"),
    errors.TooFewMembers: (503, "service_unavailable_error"),
    errors.EmbeddingFailed: (502, "upstream_error"),
    errors.NoEndpoint: (503, "service_unavailable_error"),
    errors.Overloaded: (429, "rate_limit_error"),
    errors.Draining: (503, "service_unavailable_error"),
    errors.DeadlineExceeded: (504, "timeout_error"),
    errors.FirstTokenTimeout: (504, "timeout_error"),
    errors.IdleTimeout: (504, "timeout_error"),
    errors.ConnectFailed: (503, "service_unavailable_error"),
    errors.EngineBusy: (429, "rate_limit_error"),
    errors.RouteNotServed: (404, "invalid_request_error"),
    errors.UpstreamError: (502, "upstream_error"),
    errors.GatewayError: (500, "server_error"),
}


def render(error: errors.GatewayError) -> tuple[int, dict[str, str], bytes]:
    """The status, extra headers and JSON body for an error."""
    status, kind = status_and_type(type(error))
    headers = {}
    if isinstance(error, errors.RetryLater):
        headers["retry-after"] = str(math.ceil(error.retry_after))
        if error.retry_after > LONGEST_RETRY_S:
            headers["x-should-retry"] = "false"
    elif isinstance(error, errors.UpstreamError) and error.retry_after is not None:
        headers["retry-after"] = str(math.ceil(error.retry_after))
    elif status in (429, 503):
        headers["retry-after"] = "1"
    elif status == 401:
        headers["www-authenticate"] = "Bearer"
    message = f"{error.message}: {error.reason}" if error.reason else error.message
    return status, headers, error_body(message, kind, code=error.code, param=error.param)


def status_and_type(error: type[errors.GatewayError]) -> tuple[int, str]:
    """The HTTP status of such an error, and the `type` in its body."""
    return next(value for cls, value in _STATUS.items() if issubclass(error, cls))


def status_of(error: type[BaseException]) -> int:
    """The HTTP status that a caller gets with such an error; 0 where no caller is left."""
    if not issubclass(error, Exception) or issubclass(error, errors.ClientStalled):
        return 0
    return status_and_type(error)[0] if issubclass(error, errors.GatewayError) else 500


def error_body(message: str, kind: str, *, code: str, param: str | None = None) -> bytes:
    detail = ErrorDetail(message=message, type=kind, param=param, code=code)
    return ErrorBody(error=detail).model_dump_json().encode()


def internal_error(error: Exception, request_id: str | None = None) -> bytes:
    """Log an error of ours that nobody foresaw, without its message: that could quote a prompt."""
    log.error(
        "internal_error",
        error=type(error).__name__,
        place=errors.error_place(error),
        request_id=request_id,
    )
    return error_body(
        "the gateway failed on this request; its log names the place",
        "server_error",
        code="internal_error",
    )


def _methods(app: FastAPI, path: str, of_the_framework: str) -> Sequence[str]:
    """Those of all routes of this path: the framework tells the first one's."""
    found = {method.strip() for method in of_the_framework.split(",") if method.strip()}
    for route in iter_route_contexts(app.routes):
        if route.methods and route.path_regex.match(path):
            found |= route.methods
    return allowed_methods(path, found)


def other_method(method: str, path: str, allowed: Sequence[str]) -> Response:
    """The answer to OPTIONS, and to a method that is none of those `allowed` at this path."""
    headers = {"allow": ", ".join(allowed)}
    if method == "OPTIONS":
        return Response(status_code=204, headers=headers)
    message = f"{method} {path}: Method Not Allowed"
    body = error_body(message, "invalid_request_error", code="method_not_allowed")
    return Response(body, 405, headers, "application/json")


def install(app: FastAPI) -> None:
    """Make FastAPI's own errors look like OpenAI's."""

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        headers = {name.lower(): value for name, value in (error.headers or {}).items()}
        if error.status_code == 405:
            methods = _methods(app, request.url.path, headers.get("allow", ""))
            return other_method(request.method, request.url.path, methods)
        message = f"{request.method} {request.url.path}: {error.detail}"
        kind = "invalid_request_error" if error.status_code < 500 else "server_error"
        code = _FRAMEWORK_CODES.get(error.status_code, "invalid_value")
        return Response(
            error_body(message, kind, code=code), error.status_code, headers, "application/json"
        )

    @app.exception_handler(RequestValidationError)
    async def validation(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        param = ".".join(str(part) for part in first["loc"][1:])
        message = f"{param}: {field_problem(first)}"
        body = error_body(message, "invalid_request_error", code="invalid_value", param=param)
        return Response(body, 400, media_type="application/json")

    @app.exception_handler(errors.GatewayError)
    async def ours(request: Request, error: errors.GatewayError) -> Response:
        status, headers, body = render(error)
        return Response(
            body, status, headers | getattr(request.state, RATE_HEADERS, {}), "application/json"
        )

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> Response:
        return Response(internal_error(error), 500, media_type="application/json")
