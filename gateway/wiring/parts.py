"""The parts of a gateway, from its settings: what they are, and how they are started."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from gateway.adapters.clock import MonotonicClock
from gateway.adapters.endpoints.live import LiveEndpoints
from gateway.adapters.engines.client import AiohttpModelServer
from gateway.adapters.engines.drafting_engines import MailboxEngines
from gateway.adapters.files.outcome_log import OutcomeFile
from gateway.adapters.line_writer import LineWriter
from gateway.adapters.name_lookup import SystemNameLookup
from gateway.adapters.prometheus.cascade import CascadeMetrics
from gateway.adapters.prometheus.chains import ChainMetrics
from gateway.adapters.prometheus.collective import CollectiveMetrics
from gateway.adapters.prometheus.conditions import ConditionMetrics
from gateway.adapters.prometheus.devices import DeviceMetrics, MemberMetrics
from gateway.adapters.prometheus.drafting import DraftingTelemetry
from gateway.adapters.prometheus.endpoints import (
    DiscoveryMetrics,
    EndpointMetrics,
    MailboxMetrics,
    PoolMetrics,
)
from gateway.adapters.prometheus.keys import KeyEnds, KeyMetrics
from gateway.adapters.prometheus.logs import LogMetrics
from gateway.adapters.prometheus.process import ProcessMetrics
from gateway.adapters.prometheus.requests import RequestTelemetry
from gateway.adapters.prometheus.tls import TlsMetrics
from gateway.api import error_handlers
from gateway.api.operations import readiness
from gateway.core.cascade.predictor_choice import Predictors
from gateway.core.collective.templates import Templates
from gateway.core.ports import Clock, Onlooker
from gateway.core.routing.routing import Routing
from gateway.protocol.openai import Readiness
from gateway.serving.console.onlooker import ConsoleOnlooker
from gateway.serving.requests.drain import Drain, DrainTimes
from gateway.serving.requests.media_names import MediaNames
from gateway.serving.requests.relay import OwnServer
from gateway.settings import Settings
from gateway.wiring import pools
from gateway.wiring.access import AccessParts, KeysAtStart, build_access, keys_at_start
from gateway.wiring.cascade import CascadeParts, build_cascade, outcome_file, predictors
from gateway.wiring.collective import (
    CollectiveParts,
    build_collective,
    choose_embedder,
    collective_templates,
)
from gateway.wiring.console import build_onlooker
from gateway.wiring.devices import DeviceParts, DeviceTelemetries, build_devices
from gateway.wiring.endpoints import EndpointUpkeep, discovery_scope
from gateway.wiring.resumable import ResumableParts, build_resumable
from gateway.wiring.shared import Shared, build_shared
from gateway.wiring.speculation import build_own_servers
from gateway.wiring.state import SharedState
from gateway.wiring.tls import TlsEnds, tls_conditions
from gateway.wiring.verification import VerificationParts, build_verification
from k8s.discovery.discovery import DiscoveryScope

VERSION = "0.1.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualModels:
    """The models that are composed of others' answers.

    `embedding_problem`: why a collective's members are chosen by words; "" where they are not.
    """

    cascade: CascadeParts
    collective: CollectiveParts
    outcomes: OutcomeFile | None
    embedding_problem: str

    def conditions(self, served: Collection[str] | None) -> dict[str, str]:
        """What is degraded, by name, in words for the operator. `served`: None where it is not
        known which models there are."""
        conditions = {} if served is None else self.cascade.conditions(served)
        if self.embedding_problem:
            conditions["embedding-missing"] = self.embedding_problem
        if failing := self.collective.fit_estimator.problem:
            conditions["embedding-failing"] = f"{failing}; members are chosen by tags and words"
        if self.outcomes is not None and self.outcomes.problem:
            conditions["outcomes-lost"] = self.outcomes.problem
        return conditions


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayParts:
    """The parts of a gateway that runs, and what `/ready` says of them."""

    registry: CollectorRegistry
    endpoints: LiveEndpoints
    upkeep: EndpointUpkeep
    state: SharedState
    shared: Shared
    verification: VerificationParts
    devices: DeviceParts
    resumable: ResumableParts
    models: VirtualModels
    access: AccessParts
    tls: TlsEnds
    drain: Drain
    media_names: MediaNames
    own_server: OwnServer
    onlooker: ConsoleOnlooker
    output: LineWriter | None

    @property
    def draining(self) -> bool:
        """Whether the gateway is about to stop."""
        return self.drain.begun

    @property
    def settled(self) -> bool:
        """Whether every endpoint that there was at the start has been looked at."""
        return self.upkeep.settled

    def readiness(self) -> Readiness:
        """What `/ready` says."""
        return readiness(
            self.endpoints.states(),
            self.endpoints.pools(),
            self.conditions(),
            ready=self.settled and self.upkeep.routes and not self.draining,
            now=self.shared.clock.now(),
            drafts=self.verification.verifier.way,
        )

    def conditions(self) -> Mapping[str, str]:
        """The degraded modes, by name, in words for the operator."""
        conditions = self.upkeep.conditions() | self.state.conditions()
        conditions |= self.models.conditions(self.upkeep.served_models)
        conditions |= self.access.conditions() | self.shared.chains.conditions()
        conditions |= self.verification.metrics.conditions()
        conditions |= tls_conditions(self.tls.watch)
        if self.output is not None and (lost := self.output.losing):
            conditions["log-lines-lost"] = (
                f"{lost} lines of the log since it could be written last: its disk is full, or "
                "nobody reads it"
            )
        if condition := self.drain.condition:
            conditions["draining"] = condition
        return conditions


@dataclass(frozen=True, slots=True, kw_only=True)
class PartsPlan:
    """What the parts are made of: all that can be wrong with the settings before one starts."""

    routing: Routing
    scope: DiscoveryScope | None
    templates: Templates
    predictors: Predictors
    tls: TlsEnds
    keys: KeysAtStart


async def plan_parts(settings: Settings) -> PartsPlan:
    """Starts nothing. Raises ConfigError."""
    return PartsPlan(
        routing=pools.routing(settings),
        scope=discovery_scope(settings),
        templates=collective_templates(settings),
        predictors=predictors(settings.cascade),
        tls=TlsEnds(settings),
        keys=await keys_at_start(settings),
    )


async def build_parts(
    stack: AsyncExitStack, settings: Settings, plan: PartsPlan, output: LineWriter | None = None
) -> GatewayParts:
    """Start all parts; `stack` stops them. Raises ConfigError."""
    endpoints = LiveEndpoints(pools.fixed_states(settings), pools.pool_states(settings))
    clock, registry = MonotonicClock(), CollectorRegistry()
    is_model = pools.model_names(settings, endpoints)
    keys = KeyMetrics(registry)
    onlooker = build_onlooker(clock)
    requests = RequestTelemetry(
        registry=registry,
        status_of=error_handlers.status_of,
        is_model=is_model,
        keys=keys,
        onlooker=onlooker,
    )
    registry.register(EndpointMetrics(endpoints.states, clock))
    registry.register(PoolMetrics(endpoints))
    ProcessMetrics(registry, version=VERSION, started=time.time())
    tls = plan.tls
    state = SharedState(settings=settings, registry=registry, clock=clock, tls=tls.redis)
    registry.register(TlsMetrics(tls.watch.remaining))
    registry.register(KeyEnds(plan.keys.table.remaining))

    # From here on every part that is started is on the stack before the next one is.
    await tls.start(stack)
    server = _model_server(stack, settings, tls)
    await state.start(stack)
    upkeep = EndpointUpkeep(
        settings=settings,
        scope=plan.scope,
        endpoints=endpoints,
        client=server,
        clock=clock,
        tls=tls.pools,
    )
    registry.register(MailboxMetrics(lambda: tuple(upkeep.mailboxes.values())))
    if plan.scope is not None:
        registry.register(DiscoveryMetrics(lambda: upkeep.watches))
    upkeep.start(stack)
    verification = build_verification(
        settings, server=server, mailboxes=upkeep.mailboxes, clock=clock, registry=registry
    )
    shared = build_shared(
        settings,
        routing=plan.routing,
        endpoints=endpoints,
        server=server,
        verifier=verification.verifier,
        clock=clock,
        telemetry=requests,
        chain_telemetry=ChainMetrics(registry),
    )
    telemetries = _device_telemetries(registry, requests, onlooker)
    devices = build_devices(settings, shared=shared, store=state.shared, telemetries=telemetries)
    access = await build_access(
        stack,
        settings,
        known=plan.keys,
        store=state.shared if settings.state.redis else None,
        replica=devices.members.replica,
        devices=devices.tokens,
        clock=clock,
        telemetry=keys,
    )
    devices.start(stack)
    resumable = build_resumable(
        settings,
        replica=devices.members.replica,
        shared=shared,
        store=state.shared if settings.state.redis else None,
        registry=registry,
    )
    await resumable.start(stack)
    models = _virtual_models(
        stack,
        settings,
        shared=shared,
        devices=devices,
        state=state,
        registry=registry,
        templates=plan.templates,
        judges=plan.predictors,
    )
    parts = GatewayParts(
        registry=registry,
        endpoints=endpoints,
        upkeep=upkeep,
        state=state,
        shared=shared,
        verification=verification,
        devices=devices,
        resumable=resumable,
        models=models,
        access=access,
        tls=tls,
        drain=_drain(settings, shared=shared, devices=devices, resumable=resumable),
        media_names=_media_names(stack, shared.clock),
        own_server=build_own_servers(
            settings,
            shared=shared,
            engines=MailboxEngines(server, upkeep.mailboxes),
        ),
        output=output,
        onlooker=onlooker,
    )
    registry.register(ConditionMetrics(parts.conditions))
    registry.register(_log_metrics(output, models.outcomes))
    return parts


def _model_server(stack: AsyncExitStack, settings: Settings, tls: TlsEnds) -> AiohttpModelServer:
    keys, default_key = pools.api_keys(settings)
    server = AiohttpModelServer(
        connect_timeout_s=settings.timeouts.connect_s,
        api_keys=keys,
        default_key=default_key,
        tls=tls.pools,
    )
    stack.push_async_callback(server.close)
    return server


def _media_names(stack: AsyncExitStack, clock: Clock) -> MediaNames:
    lookup = SystemNameLookup()
    stack.callback(lookup.close)
    return MediaNames(lookup, clock)


def _drain(
    settings: Settings, *, shared: Shared, devices: DeviceParts, resumable: ResumableParts
) -> Drain:
    return Drain(
        admission=shared.admission,
        times=DrainTimes(settings.lifecycle.notice_s, settings.lifecycle.drain_s),
        clock=shared.clock,
        telemetry=shared.telemetry,
        leave=devices.leave,
        others=lambda: devices.connections.busy + resumable.streams.undelivered,
    )


def _log_metrics(output: LineWriter | None, outcomes: OutcomeFile | None) -> LogMetrics:
    return LogMetrics(
        lambda: output.dropped if output else 0, lambda: outcomes.dropped if outcomes else 0
    )


def _device_telemetries(
    registry: CollectorRegistry, requests: RequestTelemetry, onlooker: Onlooker
) -> DeviceTelemetries:
    return DeviceTelemetries(
        devices=DeviceMetrics(registry),
        members=MemberMetrics(registry),
        sessions=DraftingTelemetry(registry, requests.count, onlooker),
    )


def _virtual_models(
    stack: AsyncExitStack,
    settings: Settings,
    *,
    shared: Shared,
    devices: DeviceParts,
    state: SharedState,
    registry: CollectorRegistry,
    templates: Templates,
    judges: Predictors,
) -> VirtualModels:
    """The cascade, then the collective; `stack` stops what they start."""
    outcomes = outcome_file(stack, settings.cascade)
    cascade = build_cascade(
        stack,
        settings.cascade,
        shared=shared,
        members=devices.members,
        predictors=judges,
        telemetry=CascadeMetrics(registry, shared.prices),
        log=outcomes,
    )
    embedder, problem = choose_embedder(stack, settings.collective.embedding, shared)
    collective = build_collective(
        stack,
        settings,
        shared=shared,
        members=devices.members,
        callers=devices.tokens,
        store=state.store,
        templates=templates,
        telemetry=CollectiveMetrics(registry, shared.prices),
        embedder=embedder,
    )
    return VirtualModels(
        cascade=cascade, collective=collective, outcomes=outcomes, embedding_problem=problem
    )
