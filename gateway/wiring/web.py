"""The web side of a gateway: which application serves which routes, and who gets to them."""

from __future__ import annotations

from collections.abc import Collection

from fastapi import APIRouter, FastAPI, HTTPException, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.routing import WebSocketRoute
from starlette.types import ASGIApp

from gateway.adapters.memory_limit import memory_limit_bytes
from gateway.api import error_handlers
from gateway.api.caller_key import CallerGate
from gateway.api.collective import collective_router
from gateway.api.console.pages import serve_console
from gateway.api.console.routes import ConsoleSource, console_router
from gateway.api.description.document import describe
from gateway.api.description.inference import documented_inference
from gateway.api.description.pages import serve_pages
from gateway.api.fast_path import HeadRequests
from gateway.api.inference import InferenceRoutes, RequestHandler
from gateway.api.listeners import PublicRoutes
from gateway.api.operations import models_router, operations_router
from gateway.api.operators.admin_token import AdminGate
from gateway.api.operators.devices import devices_router
from gateway.api.operators.keys import keys_router
from gateway.api.requests.body_reader import BodyReader
from gateway.api.requests.request_reader import ComposedLimits, RequestReader
from gateway.api.requests.response_holders import ResponseHolders
from gateway.api.resumable import streams_router
from gateway.core.bodies.body_outline import OutlineLimits
from gateway.core.bodies.request_bounds import RequestBounds
from gateway.protocol.browser_guard import (
    BrowserGuard,
    guarded_hosts,
    guarded_origins,
    is_loopback,
)
from gateway.protocol.device_link.speculation import PATH
from gateway.protocol.virtual_models import CASCADE, COLLECTIVE
from gateway.serving.requests.body_room import BodyRoom
from gateway.serving.requests.stored_responses import StoredResponses
from gateway.serving.speculation.chained import ChainedModelHandler
from gateway.settings import Settings
from gateway.settings.bounds import RequestLimits
from gateway.wiring.console import MapView
from gateway.wiring.parts import VERSION, GatewayParts
from gateway.wiring.pools import composed_models
from gateway.wiring.shared import build_inference

MIB = 1024 * 1024
MOST_BYTES = 256 * MIB
BESIDE_BYTES = 128 * MIB
"""What the gateway needs without any bodies, and some for what they wait in on their way."""
COPIES = 4
"""A body, the same with another model's name, and both on their way through sockets."""


def guarded(settings: Settings, host: str, app: ASGIApp) -> ASGIApp:
    """`app` at the address `host`, behind a guard against web pages where they may reach it."""
    hosts = guarded_hosts(host, settings.listen.allowed_hosts)
    origins = guarded_origins(host, settings.listen.allowed_origins)
    if hosts is None and origins is None:
        return app
    names = ("listen.allowed_hosts", "listen.allowed_origins")
    return BrowserGuard(app=app, hosts=hosts, origins=origins, settings=names)


def inference_routes(settings: Settings, parts: GatewayParts) -> ASGIApp:
    """The inference routes, for the fast path."""
    shared, models, limits = parts.shared, parts.models, settings.limits
    inference = build_inference(shared, parts.own_server)
    composing: dict[str, RequestHandler] = {
        COLLECTIVE: models.collective.handler,
        CASCADE: models.cascade.handler,
    }
    chains = settings.chains.models
    chained = ChainedModelHandler(inference=inference, stages=chains)
    access, endpoints = parts.access.access, shared.endpoints
    return InferenceRoutes(
        inference=inference,
        handlers={**dict.fromkeys(chains, chained), **composing},
        clock=shared.clock,
        requests=_request_reader(settings, parts, composing=composing.keys()),
        body_room=BodyRoom(bodies_bytes(limits, memory_limit_bytes()), shared.telemetry),
        error_s=settings.timeouts.body_s,
        resumable=parts.resumable.answers,
        drain=parts.drain,
        access=access,
        holders=ResponseHolders(
            stored=StoredResponses(endpoints=endpoints, server=shared.server),
            access=access,
            endpoints=endpoints,
        ),
    )


def _request_reader(
    settings: Settings, parts: GatewayParts, *, composing: Collection[str]
) -> RequestReader:
    limits, timeouts, clock = settings.limits, settings.timeouts, parts.shared.clock
    return RequestReader(
        clock=clock,
        bodies=BodyReader(
            clock=clock,
            max_bytes=limits.max_body_bytes,
            outline=OutlineLimits(limits.max_outline_bytes, limits.max_fields, limits.max_items),
            body_s=timeouts.body_s,
            body_rate=timeouts.body_bytes_per_s,
        ),
        composing=composing,
        composed=ComposedLimits(limits.max_composed_bytes, limits.max_composed_chars),
        bounds=request_bounds(limits),
        media_names=parts.media_names,
        privacy=parts.shared.privacy,
        continues=settings.continuation.enabled,
    )


def request_bounds(limits: RequestLimits) -> RequestBounds:
    return RequestBounds(
        answers=limits.max_answers,
        tokens=limits.max_answer_tokens,
        logprobs=limits.max_logprobs,
        prompts=limits.max_prompts,
        prompt_chars=limits.max_prompt_chars,
        stops=limits.max_stops,
        list_items=limits.max_list_items,
        tools=limits.max_tools,
        choices=limits.max_choices,
        schema_bytes=limits.max_schema_bytes,
        media=limits.max_media,
        media_hosts=limits.media_hosts,
        media_lookup=limits.media_lookup,
        engine_priority=limits.min_engine_priority,
        transfers=limits.engine_transfers,
    )


def bodies_bytes(limits: RequestLimits, memory_bytes: int | None) -> int:
    """The room for all bodies, where the process may have so much memory (None: no limit)."""
    if limits.max_bodies_bytes is not None:
        return limits.max_bodies_bytes
    if memory_bytes is None:
        return max(MOST_BYTES, limits.max_body_bytes)
    room = min(MOST_BYTES, (memory_bytes - BESIDE_BYTES) // COPIES)
    return max(room, limits.max_body_bytes)


def public_routes(settings: Settings, parts: GatewayParts, rest: ASGIApp) -> ASGIApp:
    """What of `rest` is at the address of `listen`: all of it where only this machine reaches it
    and there is no other address."""
    apart = settings.operations.port is not None
    if not apart and not settings.listen.beyond_loopback:
        return rest
    return PublicRoutes(
        rest,
        gate=None if apart else AdminGate(settings.admin.digest),
        ready=lambda: parts.readiness().ready,
    )


def _console(settings: Settings, parts: GatewayParts) -> APIRouter:
    """For operators; and on a laptop, where callers need no key and only the machine itself reaches
    the gateway, for everybody."""
    apart, access = settings.operations.port is not None, parts.access.access
    clock = parts.shared.clock
    host = settings.operations.host if apart else settings.listen.host
    gate = AdminGate(settings.admin.digest, open=lambda: is_loopback(host) and access.open)
    view = MapView(
        endpoints=parts.endpoints,
        members=parts.devices.members,
        conditions=parts.conditions,
        way=parts.verification.verifier.way,
        clock=clock,
        callers=not apart,
    )
    source = ConsoleSource(
        feed=parts.onlooker.feed, map=view, draining=lambda: parts.draining, clock=clock
    )
    return console_router(gate, source)


def fastapi_app(settings: Settings, parts: GatewayParts) -> FastAPI:
    """Every route, those of inference for their description alone."""
    gate = CallerGate(parts.access.access)
    app = FastAPI(
        title="Tierflow gateway",
        version=VERSION,
        redirect_slashes=False,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    error_handlers.install(app)

    def metrics_page() -> tuple[bytes, str]:
        return generate_latest(parts.registry), CONTENT_TYPE_LATEST

    async def passed_through() -> Response:
        # The fast path serves all of these routes. Here comes what the framework takes for one of
        # them, such as a path with a line feed behind it.
        raise HTTPException(404)

    composed = composed_models(settings)
    for router in (
        models_router(gate, parts.endpoints, settings.limits.max_body_bytes, composed),
        operations_router(parts.readiness, metrics_page),
        devices_router(AdminGate(settings.admin.digest), parts.devices.admin),
        keys_router(AdminGate(settings.admin.digest), parts.access.admin),
        collective_router(gate, parts.models.collective.feedback),
        documented_inference(passed_through),
        streams_router(gate, parts.resumable.answers),
        _console(settings, parts),
    ):
        app.include_router(router)
    describe(app)
    serve_pages(app)
    serve_console(app)
    app.add_middleware(HeadRequests)
    app.router.routes.append(WebSocketRoute(PATH, parts.devices.route))
    return app
