"""The OpenAPI document says all that a caller may meet."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import httpx
import jsonschema_rs
import pytest

from deploy.reference.routes import settings
from gateway.api.error_codes import HTTP_ERRORS
from gateway.protocol.paths import CHAT, COMPLETIONS
from gateway.protocol.requests.chat import ChatBody
from gateway.wiring.app import gateway

OF_NO_DESCRIBED_ROUTE = {"not_found", "method_not_allowed"} | {
    f"{kind}_device_token" for kind in ("invalid", "unknown", "revoked")
}
"""Of unknown routes, and of the devices' WebSocket, which OpenAPI does not describe."""
CHAT_BODY = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return asyncio.run(_document())


async def _document() -> dict[str, Any]:
    async with gateway(settings({})) as running:
        transport = httpx.ASGITransport(running.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            found: dict[str, Any] = (await http.get("/openapi.json")).json()
            return found


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def accepts(document: dict[str, Any], name: str, body: Any) -> bool:
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    return bool(jsonschema_rs.validator_for(schema).is_valid(body))


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    names = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert names - set(document["components"]["schemas"]) == set()


def test_every_error_code_stands_at_a_status_of_some_route(document: dict[str, Any]) -> None:
    described = {
        code
        for operation in operations(document).values()
        for response in operation["responses"].values()
        for code in re.findall(r"`(\w+)`", response["description"])
    }
    assert set(HTTP_ERRORS) - described == OF_NO_DESCRIBED_ROUTE


def test_no_route_has_the_status_that_the_framework_invents(document: dict[str, Any]) -> None:
    assert [name for name, each in operations(document).items() if "422" in each["responses"]] == []
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_a_wrong_page_of_devices_is_described_as_the_400_that_it_is(
    document: dict[str, Any],
) -> None:
    assert (
        "invalid_value"
        in operations(document)["GET /v1/devices"]["responses"]["400"]["description"]
    )


def test_who_is_to_wait_is_told_how_long(document: dict[str, Any]) -> None:
    for name, operation in operations(document).items():
        for status in {"429", "502", "503"} & set(operation["responses"]):
            assert "retry-after" in operation["responses"][status]["headers"], name


def test_what_comes_before_any_route_is_described_at_all_of_them(
    document: dict[str, Any],
) -> None:
    for name, operation in operations(document).items():
        for status, code in (
            ("400", "invalid_http"),
            ("403", "foreign_host"),
            ("403", "foreign_origin"),
            ("414", "target_too_long"),
            ("431", "headers_too_large"),
            ("503", "too_many_connections"),
        ):
            assert f"`{code}`" in operation["responses"][status]["description"], name


def test_a_chat_body_is_described_by_what_reads_it(document: dict[str, Any]) -> None:
    described = set(document["components"]["schemas"]["ChatBody"]["properties"])
    assert described == {*ChatBody.__struct_fields__, "model"}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"temperature": 0.5, "n": 2, "stop": ["a", "b"], "stream": True},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]},
        {"guided_json": {"type": "object"}, "chat_template_kwargs": {"enable_thinking": False}},
        {"tierflow": {"collective": {"quorum": 2}}},
    ],
)
def test_what_a_caller_may_send_fits_the_description(
    document: dict[str, Any], more: dict[str, Any]
) -> None:
    assert accepts(document, "ChatBody", CHAT_BODY | more)


@pytest.mark.parametrize(
    "wrong", [{"messages": []}, {"model": 5}, {"n": 0}, {"tierflow": {"cascade": {"quality": 2}}}]
)
def test_what_is_refused_does_not(document: dict[str, Any], wrong: dict[str, Any]) -> None:
    assert not accepts(document, "ChatBody", CHAT_BODY | wrong)


@pytest.mark.parametrize("prompt", ["hi", ["a", "b"], [1, 2], [[1], [2]], None])
def test_a_prompt_may_be_texts_or_token_ids(document: dict[str, Any], prompt: Any) -> None:
    assert accepts(document, "CompletionBody", {"model": "m", "prompt": prompt})


def test_the_gateways_own_headers_are_parameters(document: dict[str, Any]) -> None:
    chat = {each["name"] for each in document["paths"][CHAT]["post"]["parameters"]}
    assert {
        "x-tierflow-max-tier",
        "x-tierflow-resumable",
        "idempotency-key",
        "x-request-id",
    } <= chat
    plain = {each["name"] for each in document["paths"][COMPLETIONS]["post"]["parameters"]}
    assert "idempotency-key" not in plain


def test_callers_need_a_key_only_where_a_gateway_has_keys(document: dict[str, Any]) -> None:
    for name in (f"POST {CHAT}", "GET /v1/models"):
        either: list[Any] = [{}, {"CallerKey": []}, {"CallerApiKey": []}]
        assert operations(document)[name]["security"] == either
    scheme = document["components"]["securitySchemes"]["CallerApiKey"]
    assert (scheme["in"], scheme["name"]) == ("header", "x-api-key")
    assert operations(document)["GET /v1/devices"]["security"] == [{"AdminToken": []}]
