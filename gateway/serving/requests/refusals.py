"""An engine's refusal of a request (a 4xx): one code, and the field that the engine names.

vLLM gives the status as the `code` of an error, and the path of a field in its own model as the
`param`. A caller gets `engine_refused` and the field's name, whoever passes the refusal on.
"""

from __future__ import annotations

from typing import Any

import orjson

from gateway.errors import InvalidRequest
from gateway.protocol.errors.engine_error import read_error

CODE = "engine_refused"


def relayed(data: bytes) -> bytes:
    """The engine's own body with our code; unchanged where it has no error, or a code in words."""
    body = _read(data)
    if body is None or isinstance(body["error"].get("code"), str):
        return data
    error = {**body["error"], "code": CODE, "param": read_error(data).field}
    return orjson.dumps({**body, "error": error})


def refused(model: str, status: int, data: bytes) -> InvalidRequest:
    """For a call of the gateway's own. The engine's words are the error's `reason`."""
    reason, param = read_error(data)
    message = f"{model} refused the request with status {status}"
    if not reason:
        message += ": most often it is too long for the model, or a field is out of range"
    error = InvalidRequest(message, code=CODE, param=param)
    error.reason = reason
    return error


def _read(data: bytes) -> dict[str, Any] | None:
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    error = body.get("error") if isinstance(body, dict) else None
    return body if isinstance(error, dict) else None
