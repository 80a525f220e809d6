"""The composition root: the only place that knows which adapter stands behind which port."""

from __future__ import annotations

import gc
import random
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.routing import WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.adapters.clock import MonotonicClock
from gateway.adapters.device_metrics import DeviceMetrics
from gateway.adapters.endpoints import StaticEndpoints
from gateway.adapters.engine_client import AiohttpModelServer
from gateway.adapters.engine_verifier import EngineVerifier
from gateway.adapters.fingerprint import TokenizerCheck
from gateway.adapters.mailbox import Mailbox
from gateway.adapters.mailbox_metrics import MailboxMetrics
from gateway.adapters.metrics import Metrics
from gateway.adapters.scraper import Scraper
from gateway.adapters.speculation_metrics import SpeculationMetrics
from gateway.adapters.speculation_telemetry import SpeculationTelemetry
from gateway.adapters.telemetry import RequestTelemetry
from gateway.api import error_handlers
from gateway.api.devices import DeviceRoute
from gateway.api.dispatcher import Dispatcher
from gateway.api.inference import InferenceRoutes
from gateway.api.routes import documented_inference, models_router, operations_router
from gateway.core.admission import AdmissionLimits
from gateway.core.retry import RetryBudget
from gateway.core.routing.profile import build_profile
from gateway.core.routing.routing import Routing
from gateway.core.types import Endpoint, EndpointState, Limits
from gateway.errors import ConfigError
from gateway.protocol.speculation import PATH
from gateway.serving.admission import Admission
from gateway.serving.devices import Devices
from gateway.serving.dispatch import Dispatch, Waits
from gateway.serving.inference import Inference
from gateway.serving.reception import DeviceLimits
from gateway.serving.session_context import Speculation
from gateway.serving.verification import Verifiers
from gateway.settings import Settings

VERSION = "0.1.0"


def create_app(settings: Settings) -> ASGIApp:
    """Build the gateway. Raises ConfigError for settings that can't work together."""
    states = _states(settings)
    routing = _routing(settings)
    endpoints = StaticEndpoints(states)
    clock = MonotonicClock()
    metrics = Metrics(endpoints.states)
    late = _Late()
    speculation, devices = SpeculationMetrics(metrics.registry), DeviceMetrics(metrics.registry)
    metrics.registry.register(MailboxMetrics(lambda: late.mailboxes))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        client = AiohttpModelServer(settings.timeouts.connect_s, _api_keys(settings))
        tokenizers = TokenizerCheck(settings.family, client, settings.scrape.timeout_s)
        scraper = Scraper(
            states,
            client,
            clock,
            tokenizers,
            interval_s=settings.scrape.interval_s,
            timeout_s=settings.scrape.timeout_s,
            failures=settings.scrape.failures,
        )
        mailboxes = _mailboxes(settings)
        late.mailboxes = mailboxes
        verifier = EngineVerifier(client, {box.endpoint_id: box for box in mailboxes})
        shared = _shared(settings, routing, endpoints, client, clock, metrics)
        late.inference = _inference(settings, shared)
        late.devices = _devices(settings, shared, verifier, speculation, devices)
        late.unchecked = tokenizers.unchecked
        for mailbox in mailboxes:
            mailbox.start()
        scraper.start()
        _tune_gc()
        yield
        await scraper.stop()
        for mailbox in mailboxes:
            await mailbox.stop()
        await client.close()

    app = FastAPI(
        title="Tierflow gateway", version=VERSION, lifespan=lifespan, redirect_slashes=False
    )
    error_handlers.install(app)
    app.include_router(models_router(endpoints.states, settings.limits.max_body_bytes))
    app.include_router(
        operations_router(
            endpoints.states,
            late.conditions,
            lambda: (generate_latest(metrics.registry), CONTENT_TYPE_LATEST),
        )
    )

    async def passed_through(request: Request) -> Response:
        raise AssertionError("the dispatcher serves this route")

    app.include_router(documented_inference(passed_through))
    app.router.routes.append(WebSocketRoute(PATH, _Connect(late)))
    return Dispatcher(late, app)


@dataclass(frozen=True)
class _Shared:
    """What ordinary requests and devices' sessions draw on together."""

    routing: Routing
    endpoints: StaticEndpoints
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
    endpoints: StaticEndpoints,
    client: AiohttpModelServer,
    clock: MonotonicClock,
    metrics: Metrics,
) -> _Shared:
    timeouts, limits, retries = settings.timeouts, settings.limits, settings.retries
    telemetry = RequestTelemetry(metrics)
    return _Shared(
        routing,
        endpoints,
        client,
        clock,
        metrics,
        telemetry,
        Admission(
            AdmissionLimits(limits.max_in_flight, limits.max_queue, limits.max_wait_s),
            clock,
            telemetry,
        ),
        RetryBudget(ratio=retries.ratio, max_attempts=retries.max_attempts),
        Waits(timeouts.first_token_s, timeouts.idle_s, timeouts.answer_s),
    )


def _inference(settings: Settings, with_: _Shared) -> InferenceRoutes:
    """The short way of a request, from the body to the engine."""
    dispatch = Dispatch(
        with_.routing,
        with_.endpoints,
        with_.client,
        with_.clock,
        with_.telemetry,
        with_.budget,
        with_.waits,
        random.random,
    )
    return InferenceRoutes(
        Inference(with_.admission, dispatch, with_.clock, with_.telemetry, with_.waits),
        with_.clock,
        max_body_bytes=settings.limits.max_body_bytes,
        body_s=settings.timeouts.body_s,
    )


def _devices(
    settings: Settings,
    with_: _Shared,
    verifier: EngineVerifier,
    metrics: SpeculationMetrics,
    device_metrics: DeviceMetrics,
) -> DeviceRoute:
    """The way of a device's drafts and of the tokens back to it."""
    verifiers = Verifiers(
        with_.routing,
        with_.endpoints,
        verifier,
        with_.clock,
        with_.telemetry,
        with_.budget,
        random.random,
    )
    sessions = SpeculationTelemetry(with_.metrics, metrics)
    speculation = Speculation(
        verifiers,
        with_.admission,
        sessions,
        with_.clock,
        with_.waits,
        lambda: secrets.token_hex(16),
    )
    wanted = settings.devices
    limits = DeviceLimits(
        wanted.lease_s, wanted.heartbeat_s, wanted.max_sessions, wanted.drafts_per_s
    )
    return DeviceRoute(Devices(limits, speculation, device_metrics), wanted.tokens)


class _Late:
    """What can only be built inside the event loop, when the server starts."""

    def __init__(self) -> None:
        self.inference: ASGIApp | None = None
        self.devices: ASGIApp | None = None
        self.mailboxes: Sequence[Mailbox] = ()
        self.unchecked: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.inference is not None, "the server runs the lifespan first"
        await self.inference(scope, receive, send)

    def conditions(self) -> dict[str, str]:
        found = {}
        if self.unchecked:
            engines = ", ".join(sorted(self.unchecked))
            found["tokenizer-unchecked"] = f"no /tokenize at the engines of {engines}"
        if lost := [f"{box.endpoint_id} ({box.problem})" for box in self.mailboxes if box.problem]:
            found["mailbox-lost"] = f"drafts don't reach {', '.join(lost)}; answers go on without"
        return found


class _Connect:
    """An ASGI application and no function: Starlette would wrap that once more."""

    def __init__(self, late: _Late) -> None:
        self._late = late

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self._late.devices is not None, "the server runs the lifespan first"
        await self._late.devices(scope, receive, send)


def _mailboxes(settings: Settings) -> list[Mailbox]:
    found = []
    for pool in settings.pools.values():
        secret = pool.mailbox_secret.get_secret_value().encode() if pool.mailbox_secret else b""
        for url, address in zip(pool.endpoints, pool.mailboxes, strict=False):
            found.append(Mailbox(urlsplit(url).netloc, address, secret, random.random))
    return found


def _states(settings: Settings) -> list[EndpointState]:
    states = []
    for name, pool in settings.pools.items():
        for url in pool.endpoints:
            limits = Limits(pool.saturation_queue, pool.max_in_flight)
            endpoint = Endpoint(id=urlsplit(url).netloc, url=url, pool=name, tier=pool.tier)
            states.append(EndpointState(endpoint, limits))
    ids = [state.endpoint.id for state in states]
    for id in ids:
        if ids.count(id) > 1:
            raise ConfigError(f"pools: the endpoint {id} is listed twice")
    return states


def _routing(settings: Settings) -> Routing:
    built = {name: build_profile(name, spec) for name, spec in settings.profiles.items()}
    for name, pool in settings.pools.items():
        if pool.profile not in built:
            raise ConfigError(
                f"pools.{name}.profile: unknown profile {pool.profile!r}; "
                f"known: {', '.join(sorted(built))}"
            )
    by_pool = {name: built[pool.profile] for name, pool in settings.pools.items()}
    return Routing(by_pool, settings.family)


def _api_keys(settings: Settings) -> dict[str, str]:
    return {
        name: pool.api_key.get_secret_value()
        for name, pool in settings.pools.items()
        if pool.api_key is not None
    }


def _tune_gc() -> None:
    """What lives since the start is never garbage, and young objects die by reference counting:
    fewer collections take the pauses out of the tail."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
