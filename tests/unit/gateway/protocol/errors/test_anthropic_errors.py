from __future__ import annotations

import orjson
import pytest

from gateway.protocol.errors.anthropic_errors import anthropic_error

OURS = b'{"error":{"message":"no","type":"rate_limit_error","param":"model","code":"overloaded"}}'


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (413, "request_too_large"),
        (422, "invalid_request_error"),
        (429, "rate_limit_error"),
        (502, "api_error"),
        (503, "overloaded_error"),
        (504, "timeout_error"),
    ],
)
def test_an_error_has_the_type_that_anthropics_clients_know(status: int, kind: str) -> None:
    body = orjson.loads(anthropic_error(OURS, status))
    assert body["type"] == "error"
    assert body["error"] == {"message": "no", "type": kind, "param": "model", "code": "overloaded"}


@pytest.mark.parametrize(
    "body",
    [
        b'{"type":"error","error":{"type":"overloaded_error","message":"m"}}',
        b"no JSON",
        b"[1]",
        b'{"detail":1}',
    ],
)
def test_what_is_no_error_of_ours_stays_as_it_is(body: bytes) -> None:
    assert anthropic_error(body, 400) == body


@pytest.mark.parametrize(
    "body",
    [
        b'{"type":"error","error":{"type":"BadRequestError","message":"too long"}}',
        b'{"type":"error","error":{"type":"Bad Request","message":"too long"}}',
        b'{"object":"error","message":"too long","code":400}',
        b'{"error":"too long"}',
        b'{"detail":"too long"}',
    ],
)
def test_an_engines_refusal_has_such_a_type_too(body: bytes) -> None:
    told = orjson.loads(anthropic_error(body, 400))
    assert told["type"] == "error"
    assert (told["error"]["type"], told["error"]["message"]) == (
        "invalid_request_error",
        "too long",
    )
