"""The description of the API for browsers, and the page at `/` where operators have an address of
their own."""

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


def callers_page(base_url: str) -> Response:
    """The page at `/` of an address for callers alone. `base_url`: as it was asked."""
    page = root_page(
        "Tierflow gateway",
        "One API for pools of engines and for devices, for OpenAI's and Anthropic's clients.",
        _FOR_CALLERS,
        asked_at=base_url,
    )
    return Response(page, headers=dict(HEADERS))


def serve_pages(app: FastAPI) -> None:
    """Have `app` serve the description."""

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
