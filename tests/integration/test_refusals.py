"""Errors of the gateway's own, as the official client sees them."""

from __future__ import annotations

import json

import httpx
import pytest
from openai import BadRequestError, NotFoundError, OpenAI

from tests.servers import Server

pytestmark = pytest.mark.integration
CHAT = "/v1/chat/completions"


def test_an_unknown_model_is_not_found_and_what_there_is_is_listed(client: OpenAI) -> None:
    with pytest.raises(NotFoundError) as caught:
        client.chat.completions.create(model="gpt-9", messages=[{"role": "user", "content": "x"}])
    assert caught.value.code == "model_not_found"
    assert caught.value.param == "model"
    listed = caught.value.body["message"].partition("available: ")[2].split(", ")  # type: ignore[index]
    assert sorted(listed) == sorted(model.id for model in client.models.list())


@pytest.mark.parametrize("path", [CHAT, "/v1/completions", "/v1/responses", "/v1/embeddings"])
def test_a_missing_model_is_a_400_that_names_it(client: OpenAI, path: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        client.post(path.removeprefix("/v1"), body={"prompt": "x"}, cast_to=object)
    assert caught.value.param == "model"


@pytest.mark.parametrize("content", [b"", b"{", b'{"model": "rill-edge",}', b"[1]", b"\xff\xfe"])
def test_malformed_json_is_a_400(http: httpx.Client, content: bytes) -> None:
    answer = http.post(CHAT, content=content, headers={"content-type": "application/json"})
    error = answer.json()["error"]
    assert answer.status_code == 400
    assert error["type"] == "invalid_request_error"
    assert "JSON" in error["message"]


def test_a_prompt_of_two_megabytes_reaches_the_engine(http: httpx.Client) -> None:
    body = {"model": "rill-edge", "prompt": "word " * 400_000, "max_tokens": 1}
    answer = http.post("/v1/completions", json=body)
    assert answer.status_code == 400
    assert "context length" in answer.json()["error"]["message"]


def test_an_unknown_path_and_a_wrong_method_have_openai_bodies(http: httpx.Client) -> None:
    missing, wrong = http.get("/v1/nothing"), http.get(CHAT)
    assert (missing.status_code, wrong.status_code) == (404, 405)
    assert missing.json()["error"]["message"]
    assert wrong.json()["error"]["message"]
    codes = [answer.json()["error"]["code"] for answer in (missing, wrong)]
    assert codes == ["not_found", "method_not_allowed"]
    assert wrong.headers["allow"] == "OPTIONS, POST"
    assert http.put("/v1/devices/x").headers["allow"] == "DELETE, GET, HEAD, OPTIONS"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"host": "evil.example"}, "foreign_host"),
        ({"origin": "http://evil.example", "content-type": "text/plain"}, "foreign_origin"),
    ],
)
def test_a_web_page_that_is_none_of_its_own_gets_no_answer(
    http: httpx.Client, headers: dict[str, str], code: str
) -> None:
    content = json.dumps({"model": "rill-edge", "prompt": "hi", "max_tokens": 1})
    answer = http.post("/v1/completions", content=content, headers=headers)
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == code
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_a_load_balancer_may_ask_without_a_body(http: httpx.Client, path: str) -> None:
    answer = http.head(path)
    assert (answer.status_code, answer.content) == (200, b"")


def test_the_api_is_described(http: httpx.Client, gateway: Server) -> None:
    paths = http.get("/openapi.json").json()["paths"]
    for path in (CHAT, "/v1/completions", "/v1/models", "/health", "/ready", "/metrics"):
        assert path in paths
    assert json.loads(http.get("/health").text)
