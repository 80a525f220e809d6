"""The pages for browsers: the one at `/`, and the description of the API with its files."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
from collections.abc import Awaitable, Callable
from functools import cache
from importlib import resources

import orjson
from fastapi import FastAPI, Request, Response

from gateway.protocol.root_page import HEADERS, PageLink, root_page

_FILES = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}
"""Of Swagger UI 5.35.0, which is shipped: a page that is served works without the internet."""
_START = (
    "SwaggerUIBundle({url: 'openapi.json', dom_id: '#description', deepLinking: true, "
    "validatorUrl: null})"
)
_START_HASH = base64.b64encode(hashlib.sha256(_START.encode()).digest()).decode()
PAGE_POLICY = (
    f"default-src 'none'; script-src 'self' 'sha256-{_START_HASH}'; "
    "style-src 'self' 'unsafe-inline'; img-src data:; "
    "connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'"
)
"""What the page of the description may load: files of this gateway's, and its description."""
_PAGE = f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<title>Tierflow gateway</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="description"><a href="openapi.json">openapi.json</a></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script>{_START}</script>
</body>
</html>
"""
_FOR_CALLERS = (
    PageLink("/v1/models", "the models that may be asked for"),
    PageLink("/ready", "whether anything can be answered, and why not"),
    PageLink("/health", "whether the gateway lives"),
)
_FOR_OPERATORS = (
    PageLink("/docs", "every route, to be tried out"),
    PageLink("/openapi.json", "the same for programs"),
    PageLink("/metrics", "Prometheus metrics"),
)


def gateway_page(base_url: str, *, callers: bool, operators: bool) -> Response:
    """The page at `/` of an address that has the routes of these. `base_url`: as it was asked."""
    links: tuple[PageLink, ...] = _FOR_CALLERS if callers else _FOR_CALLERS[1:]
    if operators:
        links += _FOR_OPERATORS
    page = root_page(
        "Tierflow gateway",
        "One API for pools of engines and for devices, as OpenAI's and Anthropic's clients know it."
        if callers
        else "The operators' address of the gateway.",
        links,
        asked_at=base_url if callers else "",
    )
    return Response(page, headers=dict(HEADERS))


def serve_pages(app: FastAPI) -> None:
    """Have `app` serve them."""

    @app.get("/", include_in_schema=False)
    async def root(request: Request) -> Response:
        return gateway_page(str(request.base_url), callers=True, operators=True)

    @app.get("/docs", include_in_schema=False)
    async def description() -> Response:
        headers = {"content-security-policy": PAGE_POLICY}
        return Response(_PAGE, headers=headers, media_type="text/html")

    app.add_api_route("/openapi.json", _document(app), include_in_schema=False)
    for name, kind in _FILES.items():
        app.add_api_route(f"/docs/{name}", _file(name, kind), include_in_schema=False)


def _document(app: FastAPI) -> Callable[[], Awaitable[Response]]:
    """The description for programs. It is made once, and in a thread: that takes a third of a
    second, in which callers' requests go on."""
    made, once = b"", asyncio.Lock()

    async def document() -> Response:
        nonlocal made
        async with once:
            made = made or await asyncio.to_thread(lambda: orjson.dumps(app.openapi()))
        return Response(made, media_type="application/json")

    return document


def _file(name: str, kind: str) -> Callable[[Request], Awaitable[Response]]:
    async def file(request: Request) -> Response:
        headers = {"cache-control": "max-age=86400", "vary": "Accept-Encoding"}
        packed = _packed(name)
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["content-encoding"] = "gzip"
            return Response(packed, headers=headers, media_type=kind)
        return Response(gzip.decompress(packed), headers=headers, media_type=kind)

    return file


@cache
def _packed(name: str) -> bytes:
    folder = resources.files("gateway.api.description")
    return folder.joinpath("swagger_ui", f"{name}.gz").read_bytes()
