"""The whole OpenAPI document, and the page that shows it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Response
from fastapi.openapi.utils import get_openapi

from gateway.api.caller_key import KEY_SCHEME
from gateway.api.description.bodies import schemas
from gateway.api.inference import PATHS
from gateway.protocol.paths import READ_ROUTES
from gateway.protocol.speculation import PATH as DEVICES

DESCRIPTION = f"""\
One OpenAI API in front of edge and cloud pools of engines, and of devices.

An error's body is `{{"error": {{"message", "type", "param", "code"}}}}`; its codes stand at each
status.
A stream that has begun ends with one event of the same shape. Devices connect to the WebSocket
`{DEVICES}`, with a token of their own as the bearer token."""

_INVENTED = ("HTTPValidationError", "ValidationError")
_UI = "https://cdn.jsdelivr.net/npm/swagger-ui-dist@5.35.0/"
_SCRIPT = "sha384-gjRm0bEPMeTmMh5jT2cHccIwCUZSTd8YC+j0d0sXw0MdGEfScduGpSyF3ZSSLkX9"
_STYLE = "sha384-WlYgdmXYOOBWL5apwjDEZwN+U3HmXSSu5R6V5aGxEcf7z+KuRNwBhoxKVN1i3D5I"
_START = (
    "SwaggerUIBundle({url: 'openapi.json', dom_id: '#description', deepLinking: true, "
    "validatorUrl: null})"
)
_PAGE = f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<title>Tierflow gateway</title>
<link rel="stylesheet" href="{_UI}swagger-ui.css" integrity="{_STYLE}" crossorigin="anonymous">
</head>
<body>
<div id="description"><a href="openapi.json">openapi.json</a></div>
<script src="{_UI}swagger-ui-bundle.js" integrity="{_SCRIPT}" crossorigin="anonymous"></script>
<script>{_START}</script>
</body>
</html>
"""
_START_HASH = base64.b64encode(hashlib.sha256(_START.encode()).digest()).decode()
PAGE_POLICY = (
    f"default-src 'none'; script-src {_UI} 'sha256-{_START_HASH}'; "
    f"style-src {_UI} 'unsafe-inline'; img-src data:; "
    "connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'"
)
"""What the page may load: the two files whose bytes are known, and this gateway's description."""


def describe(app: FastAPI) -> None:
    """Have `app` serve the complete document, and a page that loads no script of unknown bytes."""
    app.openapi = _document(app)  # type: ignore[method-assign]

    @app.get("/docs", include_in_schema=False)
    async def page() -> Response:
        headers = {"content-security-policy": PAGE_POLICY}
        return Response(_PAGE, headers=headers, media_type="text/html")


def _document(app: FastAPI) -> Callable[[], dict[str, Any]]:
    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = complete(
                get_openapi(
                    title=app.title,
                    version=app.version,
                    description=DESCRIPTION,
                    routes=app.routes,
                )
            )
        return app.openapi_schema

    return document


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """Without the status that FastAPI invents for a wrong parameter (it is 400 here), with callers'
    keys where a gateway may ask for them, and with the bodies of the inference routes."""
    for path, operations in document["paths"].items():
        for operation in operations.values():
            operation["responses"].pop("422", None)
            if (
                path in PATHS
                or path in READ_ROUTES
                or {KEY_SCHEME: []} in operation.get("security", ())
            ):
                operation["security"] = [{}, {KEY_SCHEME: []}]
    components = document.setdefault("components", {})
    described = components.setdefault("schemas", {})
    for name in _INVENTED:
        described.pop(name, None)
    described |= schemas()
    return document
