"""Web pages that ask an API on this machine."""

from __future__ import annotations

import json
from collections.abc import MutableMapping
from typing import Any

import pytest

from gateway.api.error_codes import HTTP_ERRORS
from gateway.protocol.browser_guard import (
    BrowserGuard,
    Receive,
    Scope,
    Send,
    guarded_hosts,
    guarded_origins,
)

pytestmark = pytest.mark.anyio
NAMES = ("listen.allowed_hosts", "listen.allowed_origins")
HERE = "127.0.0.1:8080"


async def api(scope: Scope, receive: Receive, send: Send) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})


def guard(
    listens_on: str = "127.0.0.1", hosts: list[str] | None = None, origins: list[str] | None = None
) -> BrowserGuard:
    return BrowserGuard(
        app=api,
        hosts=guarded_hosts(listens_on, hosts),
        origins=guarded_origins(listens_on, origins),
        settings=NAMES,
    )


async def ask(
    guarded: BrowserGuard, *, method: str = "POST", kind: str = "http", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def receive() -> MutableMapping[str, Any]:
        return {"type": f"{kind}.connect"}

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": kind, "method": method, "path": "/v1/chat/completions", "headers": raw}
    await guarded(scope, receive, send)
    if sent[0]["type"] == "websocket.close":
        return 403, {}, sent[0]["reason"].encode()
    given = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], given, sent[1]["body"]


def error_of(body: bytes) -> tuple[str, str]:
    """Its code and type."""
    error = json.loads(body)["error"]
    return error["code"], error["type"]


@pytest.mark.parametrize(
    "host", [HERE, "localhost:8080", "LOCALHOST", "[::1]:8080", "127.0.0.1", "localhost.:8080", ""]
)
async def test_programs_that_call_loopback_by_its_names_are_answered(host: str) -> None:
    status, headers, _ = await ask(guard(), **({"host": host} if host else {}))
    assert status == 200
    assert headers == {"content-type": "application/json"}


@pytest.mark.parametrize(
    "host", ["evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", "[::2]:8080"]
)
async def test_a_name_that_was_pointed_at_this_machine_is_refused(host: str) -> None:
    status, _, body = await ask(guard(), host=host, origin=f"http://{host}")
    assert status == 403
    assert error_of(body) == ("foreign_host", HTTP_ERRORS["foreign_host"].type)
    assert b"listen.allowed_hosts" in body
    assert host.encode() not in body


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://127.0.0.1", "http://localhost:3000"]
)
@pytest.mark.parametrize("content_type", ["text/plain", "application/json"])
async def test_a_page_of_another_origin_is_refused(origin: str, content_type: str) -> None:
    status, headers, body = await ask(guard(), host=HERE, origin=origin, content_type=content_type)
    assert status == 403
    assert error_of(body) == ("foreign_origin", HTTP_ERRORS["foreign_origin"].type)
    assert b"listen.allowed_origins" in body
    assert "access-control-allow-origin" not in headers
    assert (await ask(guard(), method="OPTIONS", host=HERE, origin=origin))[0] == 403


async def test_a_web_socket_of_another_origin_is_refused() -> None:
    assert await ask(guard(), kind="websocket", host=HERE, origin="http://evil.example") == (
        403,
        {},
        b"foreign_origin",
    )


async def test_a_page_of_the_apis_own_address_is_answered() -> None:
    assert (await ask(guard(), host=HERE, origin=f"http://{HERE}"))[0] == 200


async def test_an_origin_that_is_allowed_may_ask_and_read() -> None:
    allowed, origin = guard(origins=["http://localhost:3000"]), "http://localhost:3000"
    status, headers, _ = await ask(
        allowed,
        method="OPTIONS",
        host=HERE,
        origin=origin,
        access_control_request_method="POST",
        access_control_request_headers="authorization,content-type",
        access_control_request_private_network="true",
    )
    assert status == 204
    assert headers["access-control-allow-origin"] == origin
    assert headers["access-control-allow-headers"] == "authorization,content-type"
    assert headers["access-control-allow-private-network"] == "true"
    assert "POST" in headers["access-control-allow-methods"]
    assert headers["vary"] == "Origin"
    status, headers, _ = await ask(allowed, host=HERE, origin=origin)
    assert status == 200
    assert headers["access-control-allow-origin"] == origin
    assert headers["access-control-expose-headers"] == "*"
    assert (await ask(allowed, host=HERE, origin="http://localhost:3001"))[0] == 403
    # OPTIONS that asks for no leave is the API's own to answer.
    status, headers, _ = await ask(allowed, method="OPTIONS", host=HERE, origin=origin)
    assert (status, headers["access-control-allow-origin"]) == (200, origin)


async def test_names_of_the_settings_come_beside_those_of_loopback() -> None:
    named = guard(hosts=["gateway.internal"])
    for host in ("gateway.internal:8080", HERE):
        assert (await ask(named, host=host))[0] == 200
    assert (await ask(guard(hosts=["*"], origins=["*"]), host="any", origin="http://any"))[0] == 200


async def test_elsewhere_than_on_loopback_only_what_is_set_is_looked_at() -> None:
    assert guarded_hosts("0.0.0.0", None) is None and guarded_origins("0.0.0.0", None) is None
    named = guard("0.0.0.0", hosts=["llm.example.org"])
    assert (await ask(named, host="llm.example.org", origin="https://any.example"))[0] == 200
    assert (await ask(named, host=HERE))[0] == 403
