from __future__ import annotations

import orjson
import pytest

from gateway.api.error_handlers import render
from gateway.serving.requests.refusals import refused, relayed

SAID = {"message": "x is too large", "type": "BadRequestError", "param": "body.x", "code": 400}


def test_a_relayed_refusal_keeps_its_words_and_gets_our_code() -> None:
    told = orjson.loads(relayed(orjson.dumps({"error": SAID, "more": 1})))
    assert told == {"error": {**SAID, "param": "x", "code": "engine_refused"}, "more": 1}


@pytest.mark.parametrize(
    "body", [b"", b"no JSON", b"[1]", b'{"error": "x"}', b'{"detail": "Not Found"}']
)
def test_what_is_no_engine_s_error_is_relayed_as_it_is(body: bytes) -> None:
    assert relayed(body) == body
    assert refused("small", 400, body).param is None


def test_the_engine_s_own_reason_is_told_in_whatever_form_it_comes() -> None:
    old = {"object": "error", "message": "max_tokens is too large: 99", "param": "max_tokens"}
    error = refused("small", 400, orjson.dumps(old))
    assert (error.param, error.reason) == ("max_tokens", old["message"])
    assert "most often" not in error.message


def test_a_code_that_is_a_text_stays() -> None:
    body = orjson.dumps({"error": {**SAID, "code": "prompt_too_long"}})
    assert relayed(body) == body


def test_a_refusal_of_our_own_call_names_the_field_and_keeps_the_words_for_the_caller() -> None:
    error = refused("small", 400, orjson.dumps({"error": SAID}))
    assert (error.code, error.param) == ("engine_refused", "x")
    assert "too large" not in error.message
    assert error.reason == "x is too large"
    assert b"status 400: x is too large" in render(error)[2]
