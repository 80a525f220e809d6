"""The composition root: the only place that knows which adapter stands behind which port."""

from __future__ import annotations

import gc
import random
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.routing import WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway import pools
from gateway.adapters.clock import MonotonicClock
from gateway.adapters.endpoints.live import LiveEndpoints
from gateway.adapters.engines.client import AiohttpModelServer
from gateway.adapters.engines.mailbox import Mailbox
from gateway.adapters.engines.verifier import EngineVerifier
from gateway.adapters.prometheus.collective import CollectiveMetrics
from gateway.adapters.prometheus.devices import DeviceMetrics
from gateway.adapters.prometheus.discovery import DiscoveryMetrics, PoolMetrics
from gateway.adapters.prometheus.mailboxes import MailboxMetrics
from gateway.adapters.prometheus.members import MemberMetrics
from gateway.adapters.prometheus.requests import Metrics
from gateway.adapters.prometheus.speculation import SpeculationMetrics
from gateway.adapters.prometheus.speculation_telemetry import SpeculationTelemetry
from gateway.adapters.prometheus.telemetry import RequestTelemetry
from gateway.api import error_handlers
from gateway.api.admin_token import AdminGate
from gateway.api.collective import collective_router
from gateway.api.devices_admin import DeviceAdmin, devices_router
from gateway.api.fast_path import FastPath
from gateway.api.inference import InferenceRoutes, RequestHandler
from gateway.api.operations import documented_inference, models_router, operations_router
from gateway.assembly_cascade import CascadePart
from gateway.assembly_cascade import Shared as CascadeShared
from gateway.assembly_collective import (
    CollectiveServices,
    Surroundings,
    collective_services,
    collective_templates,
    prices,
)
from gateway.assembly_devices import device_services
from gateway.assembly_state import SharedState, build_store
from gateway.core.admission import AdmissionLimits
from gateway.core.ports import Members
from gateway.core.retry import RetryBudget
from gateway.core.routing.routing import Routing
from gateway.protocol.collective import MODEL as COLLECTIVE
from gateway.protocol.speculation import PATH
from gateway.serving.cascade.options import NAME as CASCADE
from gateway.serving.devices.drafting.context import DraftingDeps
from gateway.serving.requests.admission import Admission
from gateway.serving.requests.dispatch import Dispatch, Waits
from gateway.serving.requests.engine_calls import EngineCalls
from gateway.serving.requests.relay import InferenceHandler
from gateway.serving.requests.scale_from_zero import WakeQueue
from gateway.serving.requests.verifiers import Verifiers
from gateway.settings import Settings
from gateway.upkeep import EndpointUpkeep, wanted_discovery

VERSION = "0.1.0"


def create_app(settings: Settings) -> ASGIApp:
    """Build the gateway. Raises ConfigError for settings that can't work together."""
    routing, wanted = pools.routing(settings), wanted_discovery(settings)
    endpoints = LiveEndpoints(pools.fixed_states(settings), pools.pool_states(settings))
    clock = MonotonicClock()
    metrics = Metrics(endpoints.states)
    templates = collective_templates(settings)
    collectives = CollectiveMetrics(metrics.registry, prices(settings))
    late = _Late(build_store(settings, metrics.registry, clock))
    cascade = CascadePart(settings.cascade, metrics.registry, prices(settings))
    speculation, devices = SpeculationMetrics(metrics.registry), DeviceMetrics(metrics.registry)
    work = MemberMetrics(metrics.registry)
    metrics.registry.register(MailboxMetrics(lambda: tuple(late.mailboxes.values())))
    metrics.registry.register(PoolMetrics(endpoints))
    if wanted is not None:
        metrics.registry.register(DiscoveryMetrics(lambda: late.endpoints.watches))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        client = AiohttpModelServer(settings.timeouts.connect_s, *pools.api_keys(settings))
        late.mailboxes = pools.fixed_mailboxes(settings)
        await late.state.start()
        late.endpoints = EndpointUpkeep(
            settings=settings,
            wanted=wanted,
            endpoints=endpoints,
            client=client,
            clock=clock,
            mailboxes=late.mailboxes,
            uniform=random.random,
        )
        verifier = EngineVerifier(client, late.mailboxes)
        shared = _shared(settings, routing, endpoints, client, clock, metrics)
        verifiers = _verifiers(shared, verifier)
        dispatch = _dispatch(settings, shared)
        calls = EngineCalls(
            dispatch=dispatch, clock=clock, telemetry=shared.telemetry, waits=shared.waits
        )
        served = device_services(
            settings,
            late.state.shared,
            _speculation(shared, verifiers, speculation),
            clock,
            devices,
            work,
        )
        late.devices, late.admin = served.route, served.admin
        late.collective = collective_services(
            settings,
            templates,
            Surroundings(
                members=served.members,
                callers=served.tokens,
                store=late.state.store,
                calls=calls,
                admission=shared.admission,
                endpoints=endpoints,
                clock=clock,
                telemetry=shared.telemetry,
                collectives=collectives,
            ),
        )
        stories: dict[str, RequestHandler] = {
            COLLECTIVE: late.collective.story,
            CASCADE: cascade.story(_cascade(shared, calls, verifiers, served.members)),
        }
        late.inference = _inference(settings, shared, dispatch, stories)
        served.bus.start()
        late.endpoints.start()
        _tune_gc()
        yield
        await late.collective.close()
        await served.bus.stop()
        await cascade.stop()
        await late.endpoints.stop()
        await late.state.stop()
        await client.close()

    app = _web(settings, endpoints, metrics, late, lifespan)
    return FastPath(late, app)


def _web(
    settings: Settings,
    endpoints: LiveEndpoints,
    metrics: Metrics,
    late: _Late,
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]],
) -> FastAPI:
    """What FastAPI serves: all but the inference routes, which the dispatcher takes before it."""
    app = FastAPI(
        title="Tierflow gateway", version=VERSION, lifespan=lifespan, redirect_slashes=False
    )
    error_handlers.install(app)
    app.include_router(
        models_router(endpoints, settings.limits.max_body_bytes, (CASCADE, COLLECTIVE))
    )
    app.include_router(
        operations_router(
            endpoints,
            late,
            lambda: (generate_latest(metrics.registry), CONTENT_TYPE_LATEST),
        )
    )

    app.include_router(devices_router(AdminGate(settings.admin.digest), lambda: late.admin))

    app.include_router(collective_router(lambda: late.collective.feedback))

    async def passed_through(request: Request) -> Response:
        raise AssertionError("the dispatcher serves this route")

    app.include_router(documented_inference(passed_through))
    app.router.routes.append(WebSocketRoute(PATH, _Connect(late)))
    return app


@dataclass(frozen=True, kw_only=True)
class _Shared:
    """What ordinary requests and devices' sessions draw on together."""

    routing: Routing
    endpoints: LiveEndpoints
    client: AiohttpModelServer
    clock: MonotonicClock
    metrics: Metrics
    telemetry: RequestTelemetry
    admission: Admission
    budget: RetryBudget
    waits: Waits


def _shared(
    settings: Settings,
    routing: Routing,
    endpoints: LiveEndpoints,
    client: AiohttpModelServer,
    clock: MonotonicClock,
    metrics: Metrics,
) -> _Shared:
    timeouts, limits, retries = settings.timeouts, settings.limits, settings.retries
    telemetry = RequestTelemetry(metrics)
    return _Shared(
        routing=routing,
        endpoints=endpoints,
        client=client,
        clock=clock,
        metrics=metrics,
        telemetry=telemetry,
        admission=Admission(
            AdmissionLimits(limits.max_in_flight, limits.max_queue, limits.max_wait_s),
            clock,
            telemetry,
        ),
        budget=RetryBudget(ratio=retries.ratio, max_attempts=retries.max_attempts),
        waits=Waits(timeouts.first_token_s, timeouts.idle_s, timeouts.answer_s),
    )


def _dispatch(settings: Settings, with_: _Shared) -> Dispatch:
    return Dispatch(
        routing=with_.routing,
        endpoints=with_.endpoints,
        server=with_.client,
        clock=with_.clock,
        telemetry=with_.telemetry,
        budget=with_.budget,
        waits=with_.waits,
        uniform=random.random,
        holding=WakeQueue(
            endpoints=with_.endpoints,
            family=settings.family,
            clock=with_.clock,
            max_held=settings.limits.max_queue,
        ),
    )


def _cascade(
    with_: _Shared, calls: EngineCalls, verifiers: Verifiers, members: Members
) -> CascadeShared:
    return CascadeShared(
        endpoints=with_.endpoints,
        clock=with_.clock,
        telemetry=with_.telemetry,
        admission=with_.admission,
        waits=with_.waits,
        calls=calls,
        verifiers=verifiers,
        members=members,
    )


def _inference(
    settings: Settings, with_: _Shared, dispatch: Dispatch, stories: Mapping[str, RequestHandler]
) -> InferenceRoutes:
    """The short way of a request, from the body to the engine, and the longer ones of `stories`."""
    return InferenceRoutes(
        inference=InferenceHandler(
            admission=with_.admission,
            dispatch=dispatch,
            clock=with_.clock,
            telemetry=with_.telemetry,
            waits=with_.waits,
        ),
        clock=with_.clock,
        max_body_bytes=settings.limits.max_body_bytes,
        body_s=settings.timeouts.body_s,
        stories=stories,
    )


def _verifiers(with_: _Shared, verifier: EngineVerifier) -> Verifiers:
    """The endpoints that make answers out of token ids, drafted by devices or by a lower tier."""
    return Verifiers(
        routing=with_.routing,
        endpoints=with_.endpoints,
        verifier=verifier,
        clock=with_.clock,
        telemetry=with_.telemetry,
        budget=with_.budget,
        uniform=random.random,
    )


def _speculation(with_: _Shared, verifiers: Verifiers, metrics: SpeculationMetrics) -> DraftingDeps:
    """The way of a device's drafts and of the tokens back to it."""
    return DraftingDeps(
        verifiers=verifiers,
        admission=with_.admission,
        telemetry=SpeculationTelemetry(with_.metrics, metrics),
        clock=with_.clock,
        waits=with_.waits,
        new_id=lambda: secrets.token_hex(16),
    )


class _Late:
    """What can only be built inside the event loop, when the server starts."""

    def __init__(self, state: SharedState) -> None:
        self.state = state
        self.inference: ASGIApp | None = None
        self.devices: ASGIApp | None = None
        self.mailboxes: dict[str, Mailbox] = {}
        self.endpoints: EndpointUpkeep
        self.collective: CollectiveServices
        self.admin: DeviceAdmin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.inference is not None, "the server runs the lifespan first"
        await self.inference(scope, receive, send)

    def conditions(self) -> dict[str, str]:
        degraded = self.state.conditions() | self.collective.conditions
        return self.endpoints.conditions() | degraded

    @property
    def settled(self) -> bool:
        return self.endpoints.settled


class _Connect:
    """An ASGI application and no function: Starlette would wrap that once more."""

    def __init__(self, late: _Late) -> None:
        self._late = late

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self._late.devices is not None, "the server runs the lifespan first"
        await self._late.devices(scope, receive, send)


def _tune_gc() -> None:
    """What lives since the start is never garbage, and young objects die by reference counting:
    fewer collections take the pauses out of the tail."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
