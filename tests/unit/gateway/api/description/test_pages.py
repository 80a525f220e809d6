"""The pages for browsers work without the internet, and lead nowhere that is not there."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import re
import threading
from importlib import resources
from typing import Any

import httpx
import pytest

from deploy.reference.routes import KEY
from gateway.api.description import document as document_of
from gateway.api.description.pages import PAGE_POLICY
from tests.unit.gateway.api.served import ALONE, APART, served

pytestmark = pytest.mark.anyio
KNOWN_BYTES = {
    "swagger-ui-bundle.js": "gjRm0bEPMeTmMh5jT2cHccIwCUZSTd8YC+j0d0sXw0MdGEfScduGpSyF3ZSSLkX9",
    "swagger-ui.css": "WlYgdmXYOOBWL5apwjDEZwN+U3HmXSSu5R6V5aGxEcf7z+KuRNwBhoxKVN1i3D5I",
}
"""SHA-384 of the files of swagger-ui-dist 5.35.0, as its registry has them."""


async def test_the_description_loads_nothing_from_elsewhere() -> None:
    async with served(ALONE) as http:
        page = await http.get("/docs")
        loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert "://" not in page.text and set(loaded) == {
            *(f"docs/{name}" for name in KNOWN_BYTES),
            "openapi.json",
        }
        for path in loaded:
            assert (await http.get("/" + path)).status_code == 200
    assert page.headers["content-security-policy"] == PAGE_POLICY
    (inline,) = re.findall(r"<script>(.*?)</script>", page.text)
    digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in PAGE_POLICY


@pytest.mark.parametrize("name", sorted(KNOWN_BYTES))
async def test_its_files_are_those_that_were_published(name: str) -> None:
    folder = resources.files("gateway.api.description").joinpath("swagger_ui")
    content = gzip.decompress(folder.joinpath(f"{name}.gz").read_bytes())
    assert base64.b64encode(hashlib.sha384(content).digest()).decode() == KNOWN_BYTES[name]
    async with served(ALONE) as http:
        for encoding in ("gzip", "identity"):
            answer = await http.get(f"/docs/{name}", headers={"accept-encoding": encoding})
            assert answer.content == content


async def test_the_page_for_callers_alone_leads_only_to_what_they_have() -> None:
    async with served(APART) as http:
        page = await http.get("/")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "<script" not in page.text and "://" not in page.text.replace("http://127.0.0.1", "")
        links = re.findall(r'href="([^"]+)"', page.text)
        assert "docs" not in links
        for link in links:
            assert (await http.get("/" + link)).status_code not in (403, 404), link
        assert "curl http://127.0.0.1/v1/chat/completions" in page.text


@pytest.mark.parametrize(
    "path", ["/", "/v1/models", "/health", "/metrics", "/docs", "/openapi.json"]
)
async def test_head_answers_as_get_does(path: str) -> None:
    async with served(ALONE) as http:
        get, head = await http.get(path), await http.head(path)
    assert head.status_code == get.status_code
    assert head.headers["content-type"] == get.headers["content-type"]


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/chat/completions", "OPTIONS, POST"),
        ("/v1/messages", "OPTIONS, POST"),
        ("/v1/models", "GET, HEAD, OPTIONS"),
        ("/version", "GET, HEAD, OPTIONS"),
        ("/v1/streams/x", "DELETE, GET, OPTIONS"),
        ("/", "GET, HEAD, OPTIONS"),
    ],
)
async def test_options_says_what_may_be_asked(path: str, methods: str) -> None:
    async with served(ALONE) as http:
        answer = await http.options(path)
        wrong = await http.put(path)
    assert (answer.status_code, answer.headers["allow"]) == (204, methods)
    assert "access-control-allow-origin" not in answer.headers
    assert (wrong.status_code, wrong.headers["allow"]) == (405, methods)


async def test_to_say_so_does_not_take_the_whole_description(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[int] = []

    def document(*_: object, **__: object) -> dict[str, Any]:
        made.append(threading.get_ident())
        return {"paths": {}}

    monkeypatch.setattr(document_of, "get_openapi", document)
    async with served(ALONE) as http:
        await http.options("/v1/chat/completions")
        await http.put("/v1/devices/x")
        assert made == []
        pages = await asyncio.gather(*[http.get("/openapi.json") for _ in range(3)])
    assert {page.json()["components"]["schemas"].keys() > {"ChatBody"} for page in pages} == {True}
    assert len(made) == 1 and made[0] != threading.get_ident()


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/models/"), ("GET", "/version/"), ("GET", "/health/")]
)
async def test_a_slash_behind_a_callers_route_changes_nothing(method: str, path: str) -> None:
    async with served(ALONE) as http:
        for each in (path, path[:-1]):
            answer = await http.request(method, each, headers={"authorization": f"Bearer {KEY}"})
            # The engine of this gateway is not there.
            assert answer.status_code == (503 if "version" in path else 200), answer.text


@pytest.mark.parametrize("id", ["-x", "%2e%2e", "x" * 200])
@pytest.mark.parametrize(("method", "end"), [("GET", ""), ("POST", "/cancel"), ("GET", "/")])
async def test_an_id_that_no_engine_gives_is_behind_the_same_gate(
    id: str, method: str, end: str
) -> None:
    async with served(ALONE) as http:
        path = httpx.URL(f"http://127.0.0.1/v1/responses/{id}{end}")
        stranger = await http.request(method, path)
        caller = await http.request(method, path, headers={"authorization": f"Bearer {KEY}"})
    assert (stranger.status_code, stranger.json()["error"]["code"]) == (401, "invalid_api_key")
    assert (caller.status_code, caller.json()["error"]["code"]) == (404, "unknown_response")
    assert "x-request-id" in stranger.headers and "x-request-id" in caller.headers


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/rill-edge", "/v1/streams/x"])
async def test_a_misspelt_header_is_named_wherever_callers_ask(path: str) -> None:
    headers = {"authorization": f"Bearer {KEY}", "x-tierflow-max-teir": "edge"}
    async with served(ALONE) as http:
        answer = await http.get(path, headers=headers)
        stranger = await http.get(path, headers={"x-tierflow-max-teir": "edge"})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, "x-tierflow-max-teir")
    assert "x-tierflow-max-tier" in error["message"]
    assert stranger.status_code == 401


async def test_a_page_of_an_origin_that_the_settings_allow_may_ask_and_read() -> None:
    origin = "https://app.example.org"
    asked = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type",
    }
    async with served({"listen": {"allowed_origins": [origin]}}) as http:
        preflight = await http.options("/v1/chat/completions", headers=asked)
        refusal = await http.post("/v1/chat/completions", content=b"{", headers={"origin": origin})
        foreign = await http.options(
            "/v1/chat/completions", headers={**asked, "origin": "https://else.example.org"}
        )
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == origin
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert preflight.headers["access-control-allow-headers"] == "authorization,content-type"
    assert refusal.status_code == 401
    assert refusal.headers["access-control-allow-origin"] == origin
    assert (foreign.status_code, foreign.json()["error"]["code"]) == (403, "foreign_origin")


async def test_without_the_setting_no_page_of_another_origin_is_told_that_it_may() -> None:
    async with served(APART) as http:
        answer = await http.options(
            "/v1/chat/completions", headers={"origin": "https://app.example.org"}
        )
    assert answer.status_code == 204
    assert not [name for name in answer.headers if name.startswith("access-control")]
