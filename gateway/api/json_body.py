"""Small JSON bodies of the gateway's own API: bounded, and explained where they are wrong."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from gateway.api.requests.request_headers import check_encoding
from gateway.errors import BodyTooLarge, InvalidRequest
from gateway.protocol.errors.field_problems import field_name, field_problem

MAX_BYTES = 64 * 1024
BODY_S = 10.0
B = TypeVar("B", bound=BaseModel)


async def read_body(request: Request, kind: type[B]) -> B:
    """Raises InvalidRequest, which names the field and never repeats its value."""
    check_encoding(request.headers.get("content-encoding"))
    data = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for piece in request.stream():
                data += piece
                if len(data) > MAX_BYTES:
                    raise BodyTooLarge(
                        f"the body may have {MAX_BYTES} bytes", code="body_too_large"
                    )
    except TimeoutError as error:
        raise InvalidRequest(
            f"the body did not arrive in {BODY_S:g} s", code="body_timeout"
        ) from error
    except ClientDisconnect as error:
        # Nobody reads this; it ends the request as any other wrong body does.
        raise InvalidRequest("the body broke off", code="invalid_body") from error
    try:
        return kind.model_validate_json(bytes(data) or b"{}")
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field, problem = field_name(first), field_problem(first)
        if field:
            problem = f"{field}: {problem}"
        elif first["type"] != "value_error":
            problem = f"the body {problem}"
        raise InvalidRequest(problem, param=field or None, code="invalid_body") from error


def documented(kind: type[BaseModel]) -> dict[str, Any]:
    """For a route's `openapi_extra`."""
    schema = {"application/json": {"schema": kind.model_json_schema()}}
    required = any(field.is_required() for field in kind.model_fields.values())
    return {"requestBody": {"required": required, "content": schema}}
