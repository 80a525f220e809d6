from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.answer_faults import (
    EngineRefusal,
    body_fault,
    named_fault,
    retry_after_s,
    status_fault,
)
from gateway.errors import EngineBusy, EngineFailed, UpstreamError
from gateway.protocol.paths import (
    CHAT,
    COMPLETIONS,
    DETOKENIZE,
    EMBEDDINGS,
    RESPONSES,
    TOKENIZE,
    TRANSCRIPTIONS,
)

PATH = CHAT
BOOM = b'{"error": {"message": "boom", "code": 500}}'
HTML = b"<html><title>404 Not Found</title></html>"


def by_status(status: int, **headers: str) -> UpstreamError | None:
    return status_fault("edge:1", PATH, status, headers)


def by_body(status: int, body: bytes, kind: str = "application/json") -> object:
    return body_fault("edge:1", PATH, status, {"content-type": kind}, body)


def by_event(data: bytes) -> object:
    return named_fault("edge:1", PATH, {}, b": ping\n\ndata: " + data + b"\n\ndata: [DONE]\n\n")


@pytest.mark.parametrize("status", [301, 307, 401, 403, 407, 408, 421, 500, 502, 503, 504])
def test_the_endpoint_is_to_blame_for_these(status: int) -> None:
    assert isinstance(by_status(status), EngineFailed)


@pytest.mark.parametrize("status", [200, 201, 400, 404, 409, 413, 415, 422])
def test_the_status_does_not_blame_the_endpoint_for_these(status: int) -> None:
    assert by_status(status) is None


@pytest.mark.parametrize("status", [401, 402, 403, 407])
def test_a_refusal_of_the_gateways_credentials_has_a_code_of_its_own(status: int) -> None:
    fault = by_status(status)
    assert fault is not None and fault.code == "engine_denied" and fault.certain


def test_busy_engines_say_for_how_long() -> None:
    fault = by_status(429, **{"retry-after": "7"})
    assert isinstance(fault, EngineBusy) and fault.retry_after == 7.0
    failed = by_status(503, **{"retry-after": "9"})
    assert failed is not None and failed.certain and failed.retry_after == 9.0


def test_an_engines_own_error_may_be_the_requests_fault() -> None:
    fault = by_status(500)
    assert fault is not None and not fault.certain


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("99999999", 3600.0),
        ("Sun, 06 Nov 2095 08:49:41 GMT", 4.0),
        ("Sun, 06 Nov 2095 08:49:30 GMT", 0.0),
        ("soon", None),
        ("-1", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    headers = {"retry-after": value, "date": "Sun, 06 Nov 2095 08:49:37 GMT"}
    assert retry_after_s(headers) == seconds


def test_an_engine_says_in_json_what_is_wrong_with_a_request() -> None:
    assert by_body(404, b'{"error": {"message": "no such model", "code": 404}}') is None
    assert by_body(404, b'{"object":"error","message":"no such model","code":404}') is None
    assert by_body(404, b'{"error": "no such model"}') is None
    assert isinstance(by_body(404, HTML, "text/html"), EngineFailed)
    assert isinstance(by_body(400, b"Invalid HTTP request received.", "text/plain"), EngineFailed)
    assert by_body(413, HTML, "text/html") is None


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b'{"detail":"Not Found"}'),
        (404, b'{"error":{"message":"Not Found","type":"Not Found","param":null,"code":404}}'),
        (405, b'{"detail":"Method Not Allowed"}'),
        (501, b'{"error":{"message":"The model does not support Score API","code":501}}'),
        (404, b'{"kind":"Status","message":"not found"}'),
        (501, b"Unsupported method"),
    ],
)
def test_an_engine_without_the_route_says_so_in_the_gateways_words(
    status: int, body: bytes
) -> None:
    assert by_status(status) is None
    refusal = by_body(status, body)
    assert isinstance(refusal, EngineRefusal) and refusal.no_route and refusal.status == 404
    error = orjson.loads(refusal.body)["error"]
    assert (error["code"], error["type"]) == ("route_not_served", "invalid_request_error")
    assert PATH in error["message"]


@pytest.mark.parametrize("body", [b"", b" ", b"{}", b"{}\n", b"null", b"[]"])
def test_a_200_with_nothing_in_it_is_no_answer(body: bytes) -> None:
    assert isinstance(by_body(200, body), EngineFailed)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{ }", "application/json"),
        (b'{"id": "x", "error": null}', "application/json"),
        (b'{"detail": "not today"}', "application/json"),
        (b"upstream connect error or disconnect", "text/plain"),
    ],
)
def test_a_chat_or_completion_without_choices_is_no_answer(body: bytes, kind: str) -> None:
    for path in (CHAT, COMPLETIONS):
        fault = body_fault("edge:1", path, 200, {"content-type": kind}, body)
        assert isinstance(fault, EngineFailed)


EMPTY = [
    (CHAT, b'{"id":"x","choices":[],"usage":{"prompt_tokens":5}}'),
    (CHAT, b'{"id":"x","choices": null}'),
    (COMPLETIONS, b'{"choices":[ ]}'),
    (COMPLETIONS, b'{"choices":{}}'),
    (RESPONSES, b'{"object":"response","status":"completed"}'),
    (RESPONSES, b'{"object":"response","output":null}'),
    (EMBEDDINGS, b'{"object":"list","model":"m"}'),
    (EMBEDDINGS, b'{"object":"list","data":[]}'),
    (EMBEDDINGS, b'{"object":"list","data":null}'),
    (TOKENIZE, b'{"count":3}'),
    (TOKENIZE, b'{"count":3,"tokens":null}'),
    (TOKENIZE, b'{"detail":"not today"}'),
]


@pytest.mark.parametrize(("path", "body"), EMPTY)
def test_a_body_without_the_answer_of_its_route_is_no_answer(path: str, body: bytes) -> None:
    fault = body_fault("edge:1", path, 200, {"content-type": "application/json"}, body)
    assert isinstance(fault, EngineFailed)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, b'{"more":{"choices":[]},"choices":[{"message":{"content":""}}]}'),
        (CHAT, b'{"choices":[{"message":{"content":"{\\"choices\\":[]}"}}]}'),
        (CHAT, b'{"choices":[{"message":{"content":"a"},"output":[]}]}'),
        (RESPONSES, b'{"object":"response","status":"incomplete","output":[]}'),
        (EMBEDDINGS, b'{"data":[{"embedding":[0.5]}]}'),
        (TOKENIZE, b'{"count":0,"tokens":[]}'),
        (TOKENIZE, b'[[{"id":1}]]'),
    ],
)
def test_an_answer_may_look_empty_and_be_none_the_less_one(path: str, body: bytes) -> None:
    assert body_fault("edge:1", path, 200, {"content-type": "application/json"}, body) is None


def test_a_speech_in_which_nobody_speaks_has_an_empty_text() -> None:
    plain = {"content-type": "text/plain; charset=utf-8"}
    assert body_fault("edge:1", TRANSCRIPTIONS, 200, plain, b"") is None
    assert isinstance(body_fault("edge:1", DETOKENIZE, 200, plain, b""), UpstreamError)
    assert isinstance(body_fault("edge:1", TRANSCRIPTIONS, 200, {}, b""), UpstreamError)


@pytest.mark.parametrize(
    "body", [b'data: {"id":"\xff\xfe,,,', b'{"id":"a","cho', b"Internal error"]
)
def test_a_200_that_says_json_and_is_none_is_unreadable(body: bytes) -> None:
    fault = body_fault("edge:1", CHAT, 200, {"content-type": "Application/JSON"}, body)
    assert isinstance(fault, UpstreamError) and fault.code == "unreadable_answer"
    assert body_fault("edge:1", DETOKENIZE, 200, {"content-type": "text/plain"}, body) is None


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, b'{"choices":[{"message":{},"finish_reason":"stop"},{"finish_reason":"abort"}]}'),
        (COMPLETIONS, b'{"choices":[{"text":"half","finish_reason": "abort"}]}'),
        (RESPONSES, b'{"object":"response","status":"cancelled","output":[]}'),
        (RESPONSES, b'{"object":"response","status":"failed","output":[]}'),
    ],
)
def test_an_answer_that_the_engine_gave_up_is_the_endpoints_fault(path: str, body: bytes) -> None:
    fault = body_fault("edge:1", path, 200, {"content-type": "application/json"}, body)
    assert isinstance(fault, UpstreamError) and fault.code == "engine_aborted"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, b'{"choices":[{"message":{"content":"abort"},"finish_reason":"stop"}]}'),
        (RESPONSES, b'{"object":"response","status":"completed","output":[{"status":"failed"}]}'),
        (RESPONSES, b'{"object":"response","status":"incomplete","output":[]}'),
    ],
)
def test_an_answer_that_only_speaks_of_it_is_good(path: str, body: bytes) -> None:
    assert body_fault("edge:1", path, 200, {"content-type": "application/json"}, body) is None


def test_a_200_with_a_page_for_people_is_no_answer() -> None:
    assert isinstance(
        by_body(200, b"<html>log in</html>", "text/html; charset=utf-8"), EngineFailed
    )


@pytest.mark.parametrize(
    "body",
    [
        b'{"id": "x", "choices": [{}]}',
        b'{"choices": [{"text": "{\\"error\\": {}}"}]}',
    ],
)
def test_an_answer_is_no_fault(body: bytes) -> None:
    assert by_body(200, body) is None


def test_embeddings_may_be_binary() -> None:
    headers = {"content-type": "application/octet-stream"}
    assert body_fault("edge:1", EMBEDDINGS, 200, headers, b"\x00\x01") is None


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b'{"error": {"message": "bad", "code": 400}}', 400),
        (b'{"error": {"message": "bad", "code": "422"}}', 422),
        (b'{"object": "error", "message": "bad", "code": 404}', 404),
    ],
)
def test_an_error_in_place_of_an_answer_counts_as_the_status_that_it_names(
    data: bytes, status: int
) -> None:
    assert by_event(data) == EngineRefusal(status, data)
    assert by_body(200, data) == EngineRefusal(status, data)


@pytest.mark.parametrize(
    "data",
    [
        b'{"error": {"message": "EngineCore died", "code": 500}}',
        b'{"error": {"message": "no status"}}',
        b'{"error": "text"}',
        b'{"type": "error", "code": "server_error", "message": "x"}',
        b'{"type": "response.failed", "response": {}}',
        b'{"error": {broken',
    ],
)
def test_an_error_of_the_engines_own_or_no_event_at_all_is_the_endpoints_fault(
    data: bytes,
) -> None:
    assert isinstance(by_event(data), EngineFailed)


def test_an_engines_own_error_keeps_its_words_for_the_caller() -> None:
    for fault in (by_event(BOOM), by_body(200, BOOM)):
        assert isinstance(fault, EngineFailed) and fault.reason == "boom"
        assert "boom" not in fault.message


def test_a_first_event_that_says_busy_is_busy() -> None:
    assert isinstance(by_event(b'{"error": {"code": 429}}'), EngineBusy)


@pytest.mark.parametrize("data", [b"[DONE]", b"", b'{"choices": []}'])
def test_an_event_that_is_no_error_names_no_fault(data: bytes) -> None:
    assert by_event(data) is None


@given(st.binary(max_size=80), st.integers(100, 599))
def test_whatever_bytes_come_they_are_judged(data: bytes, status: int) -> None:
    by_event(data)
    if by_status(status) is None:
        by_body(status, data)
