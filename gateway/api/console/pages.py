"""The page at `/` and its files: they hold no data, so that everybody may load them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from importlib import resources

from fastapi import FastAPI, Request, Response

PREFIX = "/console/"
SCRIPTS = ("api.js", "ask.js", "console.js", "dom.js", "map.js", "marks.js", "requests.js")
KINDS = {
    "console.css": "text/css",
    "icon.svg": "image/svg+xml",
    **dict.fromkeys(SCRIPTS, "text/javascript"),
}
"""The files by name, with their media types."""
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "form-action 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-cache",
}
"""Files of this gateway's alone are loaded, and nobody else is told or asked anything."""


def console_page() -> Response:
    """The page itself."""
    return Response(_read("index.html"), headers=HEADERS, media_type="text/html")


def serve_console(app: FastAPI) -> None:
    """Have `app` serve it at `/`."""

    @app.get("/", include_in_schema=False)
    async def root() -> Response:
        return console_page()

    for name, kind in KINDS.items():
        app.add_api_route(f"{PREFIX}{name}", _file(name, kind), include_in_schema=False)


def _file(name: str, kind: str) -> Callable[[Request], Awaitable[Response]]:
    async def file(request: Request) -> Response:
        return Response(_read(name), headers=HEADERS, media_type=kind)

    return file


@cache
def _read(name: str) -> bytes:
    return resources.files("gateway.api.console").joinpath("files", name).read_bytes()
