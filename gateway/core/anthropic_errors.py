"""Errors as Anthropic's API writes them, `{"type": "error", "error": {"type", "message"}}`: with
the type as its clients know it. The gateway's own `code` and `param` stay beside them."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

_TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    415: "invalid_request_error",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


def anthropic_error(body: bytes, status: int = 500) -> bytes:
    """The OpenAI error `body` of an answer with this status, or of a stream that fails, in that
    form; a body that has it already, or is no error, as it is."""
    try:
        read = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body
    error = read.get("error") if isinstance(read, dict) else None
    if not isinstance(error, dict) or read.get("type") == "error":
        return body
    return orjson.dumps({"type": "error", "error": {**error, "type": _type(status)}})


def _type(status: int) -> str:
    return _TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
