"""The bodies of requests on their way in: their bounds of size and of time, and JSON."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from starlette.requests import Request as HttpRequest

from gateway.protocol.requests.json_encoding import in_utf8
from gateway.protocol.requests.request_problems import (
    NO_OBJECT,
    encoding_problem,
    json_problem,
    model_problem,
)
from services.device_agent.api.requests import BadRequest

MIB = 1024 * 1024
MAX_BYTES = 8 * MIB
MAX_FORM_BYTES = 32 * MIB
"""A form holds a file. As much as the gateway takes by itself."""
BODY_S = 30.0


async def read_bytes(http: HttpRequest, most: int = MAX_BYTES) -> bytes:
    """The body. Raises BadRequest where it is too large, compressed, or does not arrive. One that
    is too large is let come, up to twice as much: a caller who is cut off in sending sees no
    answer."""
    pieces, size = [], 0
    try:
        async with asyncio.timeout(BODY_S):
            async for piece in http.stream():
                size += len(piece)
                if size <= most:
                    pieces.append(piece)
                elif size > 2 * most:
                    break
                else:
                    pieces.clear()
    except TimeoutError as exc:
        raise BadRequest(f"the body did not arrive in {BODY_S:g} s", None, "body_timeout") from exc
    if size > most:
        message = f"the body has {size} bytes; the device's limit is {most}"
        raise BadRequest(message, None, "body_too_large")
    if problem := encoding_problem(http.headers.get("content-encoding")):
        raise BadRequest(*problem)
    return b"".join(pieces)


async def read_fields(http: HttpRequest, *, model_optional: bool = False) -> dict[str, Any]:
    """The fields of a body in JSON, which names a model unless that is optional. Raises
    BadRequest."""
    try:
        fields = orjson.loads(in_utf8(await read_bytes(http)))
    except orjson.JSONDecodeError as exc:
        raise BadRequest(*json_problem(exc)) from exc
    if not isinstance(fields, dict):
        raise BadRequest(*NO_OBJECT)
    model = fields.get("model")
    if problem := None if model is None and model_optional else model_problem(model):
        raise BadRequest(*problem)
    return fields
