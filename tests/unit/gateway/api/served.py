"""A whole gateway without a socket, at each of the addresses that it may have."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

from deploy.reference.routes import NOWHERE, settings
from gateway.settings import Settings, shipped_profiles
from gateway.wiring.app import gateway

ALONE: Mapping[str, Any] = {}
APART = {"listen": {"host": "0.0.0.0"}, "operations": {"port": 0}}
SHARED = {"listen": {"host": "0.0.0.0"}}


@asynccontextmanager
async def served(
    listeners: Mapping[str, Any] | Settings, *, operations: bool = False
) -> AsyncIterator[httpx.AsyncClient]:
    """With keys and an admin token, unless the whole settings are given."""
    given = listeners if isinstance(listeners, Settings) else settings(listeners)
    async with gateway(given) as running:
        app = running.operations if operations else running.app
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            yield client


def without_keys(**more: Any) -> Settings:
    """The settings of a gateway that has neither keys nor an admin token, unless these say so."""
    built = Settings.model_validate(
        {"pools": {"edge": {"tier": "edge", "endpoints": [NOWHERE]}}, **more}
    )
    return built.model_copy(update={"profiles": shipped_profiles()})
