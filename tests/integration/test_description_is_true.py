"""What the OpenAPI description says is what comes: its examples are sent as they stand, and each
answer, an error too, has a status, a type, a body and headers that are described."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import httpx
import jsonschema_rs
import pytest

from gateway.api.description.examples import EXAMPLES
from gateway.protocol.paths import (
    CHAT,
    CLASSIFY,
    COHERE_CHAT,
    COHERE_EMBED,
    COMPLETIONS,
    GENERATIVE_SCORING,
    MESSAGES,
    RESPONSES,
    ROUTES,
    STORED_RESPONSE,
    TRANSCRIPTIONS,
    TRANSLATIONS,
    VERSION,
)
from tests.servers import Server

pytestmark = [
    pytest.mark.integration,
    pytest.mark.parametrize("deployment", ["simulator"], indirect=True, scope="session"),
]
NOT_SIMULATED = {
    CLASSIFY,
    TRANSCRIPTIONS,
    TRANSLATIONS,
    COHERE_CHAT,
    COHERE_EMBED,
    GENERATIVE_SCORING,
    *(path for path in ROUTES if path.endswith("/render")),
}
"""Routes that no engine here has."""
STREAMED = [CHAT, COMPLETIONS, RESPONSES, MESSAGES]
ALWAYS = {"x-request-id", "x-tierflow-tier", "x-tierflow-endpoint", "x-tierflow-reason"}


@pytest.fixture
def client_of(gateway: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.url, timeout=60) as client:
        yield client


@cache
def document(url: str) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(url + "/openapi.json").json()
    return found


def check(answer: httpx.Response, path: str) -> Mapping[str, Any]:
    """The description of this answer. Raises AssertionError where it is another one."""
    described = document(str(answer.request.url.copy_with(path="/")).rstrip("/"))
    operation = described["paths"][path][answer.request.method.lower()]
    status = str(answer.status_code)
    found: dict[str, Any] = operation["responses"].get(status) or operation["responses"]["4XX"]
    kind = answer.headers["content-type"].partition(";")[0]
    assert kind in found["content"], (path, status, kind)
    if kind == "application/json":
        assert_fits(answer, found["content"][kind]["schema"])
    ours = {name for name in answer.headers if name.startswith(("x-", "retry-after"))}
    assert ours <= set(found["headers"]), ours - set(found["headers"])
    return found


def assert_fits(answer: httpx.Response, schema: Mapping[str, Any]) -> None:
    described = document(str(answer.request.url.copy_with(path="/")).rstrip("/"))
    whole = {**schema, "components": described["components"]}
    jsonschema_rs.validator_for(whole).validate(answer.json())


def send_example(client: httpx.Client, path: str, **more: Any) -> httpx.Response:
    body = {**EXAMPLES[path], **more}
    if ROUTES[path].form:
        return client.post(path, data=body, files={"file": ("said.wav", b"RIFF")})
    return client.post(path, json=body)


@pytest.mark.parametrize("path", sorted(ROUTES))
def test_an_example_is_answered_as_it_stands(client_of: httpx.Client, path: str) -> None:
    answer = send_example(client_of, path)
    found = check(answer, path)
    if path in NOT_SIMULATED:
        assert answer.status_code == 404
        assert "`route_not_served`" in found["description"]
    else:
        assert answer.status_code == 200 and ALWAYS <= set(answer.headers)


@pytest.mark.parametrize("path", STREAMED)
def test_an_example_is_answered_as_a_stream(client_of: httpx.Client, path: str) -> None:
    answer = send_example(client_of, path, stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    check(answer, path)


@pytest.mark.parametrize("path", sorted(ROUTES))
@pytest.mark.parametrize(
    ("more", "status"),
    [({"model": "nobody"}, 404), ({"model": ""}, 400)],
)
def test_a_refusal_has_a_code_that_its_status_lists(
    client_of: httpx.Client, path: str, more: dict[str, Any], status: int
) -> None:
    answer = send_example(client_of, path, **more)
    assert answer.status_code == status
    found = check(answer, path)
    assert f"`{answer.json()['error']['code']}`" in found["description"]


def test_an_engines_own_refusal_is_described(client_of: httpx.Client) -> None:
    answer = send_example(client_of, CHAT, messages=[{"role": "user", "content": "x " * 5000}])
    assert answer.status_code == 400 and answer.json()["error"]["code"] == "engine_refused"
    check(answer, CHAT)


@pytest.mark.parametrize("path", ["/v1/models", "/health", "/ready", VERSION])
def test_what_is_asked_for_without_a_body_is_described(client_of: httpx.Client, path: str) -> None:
    answer = client_of.get(path)
    assert answer.status_code == 200
    content = document(str(client_of.base_url).rstrip("/"))["paths"][path]["get"]["responses"]
    assert_fits(answer, content["200"]["content"]["application/json"]["schema"])


def test_a_stored_response_is_described(client_of: httpx.Client) -> None:
    made = send_example(client_of, RESPONSES).json()["id"]
    check(client_of.get(f"{RESPONSES}/{made}"), STORED_RESPONSE)
    missing = client_of.get(f"{RESPONSES}/resp_0")
    assert "`unknown_response`" in check(missing, STORED_RESPONSE)["description"]
