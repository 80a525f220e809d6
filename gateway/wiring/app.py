"""The whole gateway, from its settings to one ASGI application."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import structlog
from prometheus_client import disable_created_metrics
from starlette.types import ASGIApp

from gateway.adapters.line_writer import LineWriter
from gateway.api.connections.bounds import Connections
from gateway.api.fast_path import FastPath
from gateway.api.listeners import OperatorRoutes
from gateway.serving.requests.drain import Drain
from gateway.settings import Settings
from gateway.wiring.connections import build_connections
from gateway.wiring.parts import VERSION, build_parts, plan_parts
from gateway.wiring.tls import TlsEnds
from gateway.wiring.web import fastapi_app, guarded, inference_routes, public_routes

log = structlog.get_logger("tierflow.gateway")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningGateway:
    """A gateway that runs: its ASGI application, that of its operators where they have an address
    of their own, the TLS of both addresses, the room for connections, and the way to its end."""

    app: ASGIApp
    operations: ASGIApp
    tls: TlsEnds
    drain: Drain
    connections: Connections


@asynccontextmanager
async def gateway(
    settings: Settings, output: LineWriter | None = None
) -> AsyncGenerator[RunningGateway]:
    """The gateway runs until the block ends. `output`: what writes its log lines.

    Raises ConfigError for settings that can't work together, before anything is started.
    """
    # When a series began is of no use to Prometheus, and a line for each on every page.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    plan = await plan_parts(settings)
    address = f"{settings.listen.host}:{settings.listen.port}"
    log.info("gateway_starts", version=VERSION, address=address, pools=sorted(settings.pools))
    try:
        async with AsyncExitStack() as stack:
            parts = await build_parts(stack, settings, plan, output)
            inference, rest = inference_routes(settings, parts), fastapi_app(settings, parts)
            public = public_routes(settings, parts, rest)
            yield RunningGateway(
                app=guarded(settings, settings.listen.host, FastPath(inference, public)),
                operations=guarded(settings, settings.operations.host, OperatorRoutes(rest)),
                tls=parts.tls,
                drain=parts.drain,
                connections=build_connections(settings, parts.registry),
            )
    finally:
        log.info("gateway_stopped")
