"""What is wrong with a request, in the form of OpenAI's errors, or of Anthropic's at its routes."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route as HttpRoute

from gateway.protocol.device_link.speculation import Privacy
from gateway.protocol.errors.anthropic_errors import anthropic_error
from gateway.protocol.headers import PRIVACY, REQUEST_ID, harmless_id
from gateway.protocol.paths import CHAT, OTHER, ROUTES, allowed_methods
from services.device_agent.answers.problems import PRIVACY_CLASS, RequestRefused
from services.device_agent.api.requests import BadRequest, RequestBody
from services.device_agent.api.responses import error_body
from services.device_agent.drafters.port import DrafterFailed

STATUSES = {
    "model_not_found": 404,
    "not_found": 404,
    "method_not_allowed": 405,
    "body_too_large": 413,
    "encoded_body": 415,
    "gateway_unreachable": 503,
    "drafter_failed": 503,
    "internal_error": 500,
    PRIVACY_CLASS: 403,
}
"""HTTP status of a refusal by its code; 400 for the others."""
CODES = {404: "not_found", 405: "method_not_allowed"}
"""Of the framework's own errors, by their status."""
RETRY_AFTER_S = "1"


def refused(exc: BadRequest, path: str = "") -> Response:
    """The answer at the route `path`, in the words of its API."""
    status = STATUSES.get(exc.code, 400)
    kind = "invalid_request_error" if status < 500 else "server_error"
    kind = "permission_error" if status == 403 else kind
    again = {"retry-after": RETRY_AFTER_S} if status == 503 else {}
    body = orjson.dumps(error_body(str(exc), kind, exc.param, exc.code))
    if ROUTES.get(path, OTHER).anthropic:
        body = anthropic_error(body, status)
    return Response(body, status, again, "application/json")


async def answered(http: HttpRequest, answer: Callable[[str], Awaitable[Response]]) -> Response:
    """The answer to the request of this id, or what is wrong with the request."""
    id, path = harmless_id(http.headers.get(REQUEST_ID, "")) or uuid.uuid4().hex, http.url.path
    try:
        response = await answer(id)
    except BadRequest as exc:
        response = refused(exc, path)
    except RequestRefused as exc:
        response = refused(BadRequest(str(exc), field_at_fault(exc, path), exc.code), path)
    except DrafterFailed as exc:
        response = refused(BadRequest(str(exc), None, "drafter_failed"), path)
    response.headers.setdefault(REQUEST_ID, id)
    return response


async def framework_error(http: HttpRequest, error: Exception) -> Response:
    """An unknown route or method, in the form of OpenAI's errors; OPTIONS at a route is told its
    methods."""
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers = {"allow": ", ".join(allowed_methods(http.url.path, _methods(http)))}
        if http.method == "OPTIONS":
            return Response(status_code=204, headers=headers)
    message = f"{http.method} {http.url.path}: {error.detail}"
    response = refused(BadRequest(message, None, CODES.get(error.status_code, "invalid_value")))
    response.headers.update(headers)
    return response


def _methods(http: HttpRequest) -> set[str]:
    """Those of all routes of this path: the framework tells the first one's."""
    routes = (route for route in http.app.routes if isinstance(route, HttpRoute))
    found = (route.methods or () for route in routes if route.path_regex.match(http.url.path))
    return {method for methods in found for method in methods}


async def internal_error(http: HttpRequest, error: Exception) -> Response:
    return refused(BadRequest("the device failed on this request", None, "internal_error"))


def stays_here(fields: list[str], privacy: Privacy) -> BadRequest:
    return BadRequest(
        f"{', '.join(fields)}: only servers support this, and none of them may see a request of "
        f"the class {privacy}",
        fields[0],
        PRIVACY_CLASS,
    )


def field_at_fault(refused: RequestRefused, path: str) -> str | None:
    if refused.code == PRIVACY_CLASS:
        return PRIVACY
    if refused.code in ("context_length_exceeded", "prompt_too_long"):
        return "messages" if path == CHAT else "prompt"
    if refused.code == "engine_refused":
        return refused.param
    return "model" if refused.code in ("tokenizer_differs", "model_not_found") else None


def in_callers_words(refused: RequestRefused, body: RequestBody) -> RequestRefused:
    """The refusal with the caller's name of the limit: an engine is asked by `max_tokens`, whatever
    the request calls it."""
    if refused.param != "max_tokens" or body.max_completion_tokens is None:
        return refused
    words = str(refused).replace("max_tokens", "max_completion_tokens")
    return RequestRefused(refused.code, words, "max_completion_tokens")
