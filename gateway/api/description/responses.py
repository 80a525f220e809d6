"""Responses of the routes: errors by their codes, and the headers that they carry."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gateway.api.error_codes import HTTP_ERRORS
from gateway.api.error_handlers import status_and_type
from gateway.protocol import headers as names
from gateway.protocol.openai import ErrorBody

Responses = dict[int | str, dict[str, Any]]

OF_OPERATORS = ("admin_disabled", "invalid_admin_token")
OF_CALLERS = ("invalid_api_key", "too_many_attempts", "invalid_header")
OF_STATE = ("state_lost", "state_refused", "state_full", "state_too_large")
OF_BODIES = ("invalid_body", "body_timeout", "body_too_large", "encoded_body")
EVERYWHERE = (
    "internal_error",
    "invalid_http",
    "invalid_header",
    "foreign_host",
    "foreign_origin",
    "target_too_long",
    "headers_too_large",
    "too_many_connections",
)
"""What any route may answer: before it is reached, and by a fault of the gateway's own."""


def error_responses(*codes: str) -> Responses:
    """For a route's `responses`: each status with the codes that its body may have, those of
    EVERYWHERE too."""
    by_status: dict[int, list[str]] = {}
    for code in dict.fromkeys((*codes, *EVERYWHERE)):
        by_status.setdefault(status_of_code(code), []).append(code)
    return {
        status: {
            "model": ErrorBody,
            "description": "; ".join(f"`{code}`: {_meaning(code)}" for code in found),
            "headers": headers_of(status),
        }
        for status, found in sorted(by_status.items())
    }


def status_of_code(code: str) -> int:
    error = HTTP_ERRORS[code].error
    return error if isinstance(error, int) else status_and_type(error)[0]


def headers_of(status: int) -> dict[str, Any]:
    """The headers that errors of this status carry."""
    if status in (429, 503):
        return {
            "retry-after": _header("whole seconds to wait", "integer"),
            "x-should-retry": _header("false: the wait is too long for a client's own retries"),
        }
    if status == 502:
        return {
            "retry-after": _header("whole seconds to wait, where the engine said so", "integer")
        }
    if status == 401:
        return {"www-authenticate": _header("Bearer")}
    return {}


def answer_headers(names_and_meanings: Iterable[tuple[str, str]]) -> dict[str, Any]:
    return {name: _header(meaning) for name, meaning in names_and_meanings}


REQUEST_ID = (names.REQUEST_ID, "the caller's own id when it is a harmless one, else a new one")


def _header(description: str, kind: str = "string") -> dict[str, Any]:
    return {"description": description, "schema": {"type": kind}}


def _meaning(code: str) -> str:
    return HTTP_ERRORS[code].meaning.rstrip(".")
