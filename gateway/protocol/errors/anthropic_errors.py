"""Errors as Anthropic's API writes them, `{"type": "error", "error": {"type", "message"}}`: with
the type as its clients know it. What else an error has, such as the gateway's own `code` and
`param`, stays beside them."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from gateway.protocol.errors.engine_error import read_error

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
_OTHER_TYPES = ("billing_error", "api_error")


def anthropic_error(body: bytes, status: int = 500) -> bytes:
    """The error `body` of an answer with this status, or of a stream that fails, in that form: an
    error of ours or of an engine's. A body that is no error stays as it is."""
    try:
        read = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body
    error = read.get("error") if isinstance(read, dict) else None
    if not isinstance(error, dict):
        if not (words := read_error(body).words):
            return body
        error = {"message": words}
    known = read.get("type") == "error" and error.get("type") in (*_TYPES.values(), *_OTHER_TYPES)
    if known:
        return body
    return orjson.dumps({"type": "error", "error": {**error, "type": _type(status)}})


def _type(status: int) -> str:
    return _TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
