"""What strangers reach of the gateway, and what is for operators alone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import httpx
import pytest
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from deploy.reference.routes import routes, settings
from gateway.api.listeners import OperatorRoutes, PublicRoutes, for_callers, for_operators
from gateway.api.operators.admin_token import AdminGate
from gateway.wiring.app import gateway

pytestmark = pytest.mark.anyio
ADMIN = {"authorization": "Bearer token-of-the-operator"}
GATE = AdminGate(hashlib.sha256(b"token-of-the-operator").hexdigest())


async def everything(scope: Scope, receive: Receive, send: Send) -> None:
    await JSONResponse({"reached": scope["path"]})(scope, receive, send)


def public(gate: AdminGate | None, ready: bool = True) -> PublicRoutes:
    return PublicRoutes(everything, gate=gate, ready=lambda: ready)


async def ask(
    app: ASGIApp, path: str, headers: Mapping[str, str] | None = None, method: str = "GET"
) -> httpx.Response:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        return await client.request(method, f"http://gateway{path}", headers=headers)


async def test_every_route_is_either_for_callers_or_for_operators() -> None:
    async with gateway(settings({"operations": {"port": 0}})) as running:
        paths = {path for _, path in await routes(running.operations)}
    assert {path for path in paths if for_callers(path) == for_operators(path)} == set()
    inside = {path for path in paths if for_operators(path)}
    assert inside >= {"/metrics", "/docs", "/openapi.json", "/v1/devices", "/v1/admin/enrolments"}


@pytest.mark.parametrize("path", ["/metrics", "/openapi.json", "/v1/devices", "/v1/admin/x"])
async def test_where_operators_have_an_address_their_routes_are_there_alone(path: str) -> None:
    refused = await ask(public(None), path, ADMIN)
    assert refused.status_code == 404
    assert refused.json()["error"]["code"] == "not_found"
    assert (await ask(OperatorRoutes(everything), path)).json() == {"reached": path}


@pytest.mark.parametrize("path", ["/metrics", "/docs", "/v1/admin/x"])
async def test_at_the_one_address_that_others_reach_they_need_the_admin_token(path: str) -> None:
    wrong = {"authorization": "Bearer another-token-than-that"}
    assert [(await ask(public(GATE), path, each)).status_code for each in (None, wrong)] == [
        401
    ] * 2
    assert (await ask(public(GATE), path, ADMIN)).json() == {"reached": path}
    off = await ask(public(AdminGate(None)), path, ADMIN)
    assert (off.status_code, off.json()["error"]["code"]) == (403, "admin_disabled")


@pytest.mark.parametrize("path", ["/v1/unheard-of", "/metrics/", "//metrics", "/v1/adminx"])
async def test_a_path_that_nobody_has_placed_does_not_get_through(path: str) -> None:
    for app in (public(None), public(GATE), OperatorRoutes(everything)):
        assert (await ask(app, path, ADMIN)).status_code == 404


async def test_strangers_learn_whether_it_is_ready_and_nothing_else() -> None:
    well, unwell = (
        await ask(public(GATE), "/ready"),
        await ask(public(None, False), "/ready", ADMIN),
    )
    assert (well.status_code, well.json()) == (200, {"ready": True})
    assert (unwell.status_code, unwell.json()) == (503, {"ready": False})
    head = await ask(public(None), "/ready", method="HEAD")
    assert (head.status_code, head.content) == (200, b"")


async def test_an_operator_with_the_token_sees_why() -> None:
    assert (await ask(public(GATE), "/ready", ADMIN)).json() == {"reached": "/ready"}
    assert (await ask(OperatorRoutes(everything), "/ready")).json() == {"reached": "/ready"}


async def test_callers_routes_are_not_at_the_operators_address() -> None:
    for path in ("/v1/chat/completions", "/v1/models", "/v1/devices/enrol", "/v1/streams/x"):
        assert (await ask(OperatorRoutes(everything), path)).status_code == 404
        assert (await ask(public(None), path, method="POST")).json() == {"reached": path}


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "PUT"])
async def test_callers_routes_among_the_operators_are_not_reached_by_another_method(
    method: str,
) -> None:
    for gate in (None, GATE):
        assert (await ask(public(gate), "/v1/devices/connect", ADMIN, method)).status_code == 404
        refused = await ask(public(gate), "/v1/devices/enrol", ADMIN, method)
        assert (refused.status_code, refused.headers["allow"]) == (405, "OPTIONS, POST")


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/", "GET, HEAD, OPTIONS"),
        ("/ready", "GET, HEAD, OPTIONS"),
        ("/v1/devices/enrol", "OPTIONS, POST"),
    ],
)
async def test_each_address_says_by_which_methods_its_own_routes_are_asked(
    path: str, methods: str
) -> None:
    sides = [public(None), public(GATE)] + ([OperatorRoutes(everything)] if path == "/" else [])
    for app in sides:
        asked = await ask(app, path, method="OPTIONS")
        assert (asked.status_code, asked.headers["allow"]) == (204, methods)
        wrong = await ask(app, path, method="PATCH")
        assert (wrong.status_code, wrong.headers["allow"]) == (405, methods)
        assert wrong.json()["error"]["code"] == "method_not_allowed"
