"""What is wrong with a request, in the form of OpenAI's errors."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response

from gateway.protocol.headers import PRIVACY
from gateway.protocol.paths import CHAT
from gateway.protocol.speculation import Privacy
from services.device_agent.answers.verified_answer import PRIVACY_CLASS, RequestRefused
from services.device_agent.api.requests import BadRequest, RequestBody
from services.device_agent.api.responses import error_body

STATUSES = {
    "model_not_found": 404,
    "not_found": 404,
    "method_not_allowed": 405,
    "gateway_unreachable": 503,
    "drafter_failed": 503,
    "internal_error": 500,
    PRIVACY_CLASS: 403,
}
"""HTTP status of a refusal by its code; 400 for the others."""
CODES = {404: "not_found", 405: "method_not_allowed"}
"""Of the framework's own errors, by their status."""
RETRY_AFTER_S = "1"


def refused(exc: BadRequest) -> Response:
    status = STATUSES.get(exc.code, 400)
    kind = "invalid_request_error" if status < 500 else "server_error"
    kind = "permission_error" if status == 403 else kind
    again = {"retry-after": RETRY_AFTER_S} if status == 503 else {}
    return JSONResponse(error_body(str(exc), kind, exc.param, exc.code), status, again)


async def framework_error(http: HttpRequest, error: Exception) -> Response:
    """An unknown route or method, in the form of OpenAI's errors."""
    assert isinstance(error, HTTPException)
    message = f"{http.method} {http.url.path}: {error.detail}"
    response = refused(BadRequest(message, None, CODES.get(error.status_code, "invalid_value")))
    response.headers.update(error.headers or {})
    return response


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
