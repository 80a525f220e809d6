"""The whole OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from gateway.api.caller_key import KEY_SCHEME
from gateway.api.description.schemas import schemas
from gateway.api.inference import PATHS
from gateway.protocol.device_link.speculation import PATH as DEVICES
from gateway.protocol.headers import API_KEY
from gateway.protocol.paths import READ_ROUTES

DESCRIPTION = f"""\
One OpenAI API in front of edge and cloud pools of engines, and of devices.

An error's body is `{{"error": {{"message", "type", "param", "code"}}}}`; its codes stand at each
status.
A stream that has begun ends with one event of the same shape. Devices connect to the WebSocket
`{DEVICES}`, with a token of their own as the bearer token."""

_API_KEY_SCHEME = "CallerApiKey"
_INVENTED = ("HTTPValidationError", "ValidationError")


def describe(app: FastAPI) -> None:
    """Have `app` serve the complete document."""
    app.openapi = _document(app)  # type: ignore[method-assign]


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
                operation["security"] = [{}, {KEY_SCHEME: []}, {_API_KEY_SCHEME: []}]
    components = document.setdefault("components", {})
    components.setdefault("securitySchemes", {})[_API_KEY_SCHEME] = {
        "type": "apiKey",
        "in": "header",
        "name": API_KEY,
        "description": "a caller's key as Anthropic's clients send it; read where there is no "
        "Authorization",
    }
    described = components.setdefault("schemas", {})
    for name in _INVENTED:
        described.pop(name, None)
    described |= schemas()
    return document
