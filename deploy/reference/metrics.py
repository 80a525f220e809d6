"""The page of Prometheus metrics: the gateway's, the device agent's, and the engines' counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector

from deploy.reference.markdown import GENERATED, code, linked, paragraphs, table
from gateway.adapters.clock import MonotonicClock
from gateway.adapters.endpoints.live import LiveEndpoints
from gateway.adapters.prometheus.cascade import CascadeMetrics
from gateway.adapters.prometheus.chains import ChainMetrics
from gateway.adapters.prometheus.collective import CollectiveMetrics
from gateway.adapters.prometheus.conditions import ConditionMetrics
from gateway.adapters.prometheus.connections import ConnectionMetrics
from gateway.adapters.prometheus.devices import DeviceMetrics, MemberMetrics
from gateway.adapters.prometheus.draft_rounds import RoundMetrics
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
from gateway.adapters.prometheus.resumable import ResumableMetrics
from gateway.adapters.prometheus.state import StateMetrics
from gateway.adapters.prometheus.tls import TlsMetrics
from gateway.core.prices import Prices
from services.device_agent.metrics import WATCHED, AgentMetrics
from services.vllm_server.race.counts import MEANINGS

INTRODUCTION = """\
The gateway serves its metrics at `GET /metrics`, the device agent at the same path of its own port.
Labels come from what is configured and served, never from what a caller writes, and none names a
device or a caller. A histogram has the series `_bucket`, `_sum` and `_count`. docs/observability.md
tells how metrics are collected and shown."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """A metric, with the name under which it is exported."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str


@dataclass(frozen=True)
class MetricsSection:
    """The metrics of one subject. `build` makes them in a registry of their own."""

    heading: str
    sentence: str
    build: Callable[[], CollectorRegistry]


def gateway_sections() -> tuple[MetricsSection, ...]:
    """All that the gateway exports; a test compares it with the gateway's own page."""
    return (*_of_requests(), *_of_virtual_models(), *_of_devices(), *_of_operation())


def _of_requests() -> tuple[MetricsSection, ...]:
    return (
        MetricsSection(
            "Requests and endpoints",
            "Requests and streams, and the endpoints as this gateway sees them. Devices' sessions "
            "count as requests, too: docs/gateway.md.",
            _requests_and_endpoints,
        ),
        MetricsSection(
            "Resumable streams",
            "Streams that survive their connection, by request: docs/resumable-streams.md.",
            lambda: _registry_with(_resumable),
        ),
        MetricsSection(
            "Connections",
            "The connections of callers and devices: docs/limits.md.",
            lambda: _registry_with(ConnectionMetrics),
        ),
        MetricsSection(
            "The process",
            "What runs, and since when.",
            lambda: _registry_with(partial(ProcessMetrics, version="", started=0.0)),
        ),
        MetricsSection(
            "Conditions",
            "What the gateway goes on without: docs/errors.md.",
            lambda: registry_of(ConditionMetrics(dict)),
        ),
        MetricsSection(
            "Pools and discovery",
            "Pools, and the discovery of their endpoints in Kubernetes: docs/gateway.md.",
            lambda: registry_of(PoolMetrics(LiveEndpoints([], [])), DiscoveryMetrics(lambda: ())),
        ),
    )


def _of_virtual_models() -> tuple[MetricsSection, ...]:
    return (
        MetricsSection(
            "Cascades",
            "Requests for `tierflow-cascade`: docs/cascade.md. The caller's request counts under "
            "that model, without tokens. The calls to its tiers count as "
            "`tierflow_subrequests_total` of their own models.",
            lambda: _registry_with(lambda registry: CascadeMetrics(registry, Prices())),
        ),
        MetricsSection(
            "Collectives",
            "Requests for `tierflow-collective`: docs/collective.md.",
            lambda: _registry_with(lambda registry: CollectiveMetrics(registry, Prices())),
        ),
    )


def _of_devices() -> tuple[MetricsSection, ...]:
    return (
        MetricsSection(
            "Devices' connections",
            "The connections of devices: docs/speculation.md.",
            lambda: _registry_with(DeviceMetrics),
        ),
        MetricsSection(
            "Members and their work",
            "Devices that are registered as members: docs/device-members.md.",
            lambda: _registry_with(MemberMetrics),
        ),
        MetricsSection(
            "Speculation",
            "Drafts from devices, and what verifiers accept of them: docs/speculation.md.",
            lambda: _registry_with(
                lambda registry: DraftingTelemetry(registry, lambda outcome: None)
            ),
        ),
        MetricsSection(
            "Chains of tiers",
            "Answers through tiers in the middle: docs/three-tiers.md.",
            lambda: _registry_with(ChainMetrics),
        ),
        MetricsSection(
            "Mailboxes",
            "The engines' mailboxes for drafts: docs/speculation.md.",
            lambda: registry_of(MailboxMetrics(lambda: ())),
        ),
        MetricsSection(
            "Rounds of drafts",
            "Drafts at engines without a mailbox: docs/draft-rounds.md.",
            lambda: _registry_with(RoundMetrics),
        ),
    )


def _of_operation() -> tuple[MetricsSection, ...]:
    return (
        MetricsSection(
            "Shared state",
            "The state that replicas share: docs/state.md.",
            lambda: _registry_with(lambda registry: StateMetrics(registry, lambda: None)),
        ),
        MetricsSection(
            "Keys",
            "Callers' keys: docs/keys.md.",
            _keys,
        ),
        MetricsSection(
            "Certificates",
            "The certificates that the gateway shows: docs/security.md.",
            lambda: registry_of(TlsMetrics(dict)),
        ),
        MetricsSection(
            "Logs",
            "The gateway's own logs: docs/gateway.md.",
            lambda: registry_of(LogMetrics(int, int)),
        ),
    )


def _resumable(registry: CollectorRegistry) -> None:
    ResumableMetrics(registry=registry, streams=dict, kept_bytes=int)


def _requests_and_endpoints() -> CollectorRegistry:
    registry = registry_of(EndpointMetrics(lambda: (), MonotonicClock()))
    RequestTelemetry(
        registry=registry,
        status_of=lambda error: 0,
        is_model=lambda name: False,
        # A section of its own has them.
        keys=KeyMetrics(CollectorRegistry()),
    )
    return registry


def _keys() -> CollectorRegistry:
    registry = registry_of(KeyEnds(dict))
    KeyMetrics(registry)
    return registry


def agent_registry() -> CollectorRegistry:
    """All that the device agent exports."""
    metrics = AgentMetrics()
    for name in WATCHED:
        metrics.watch(name, float)
    metrics.watch_conditions(dict)
    return metrics.registry


def page() -> str:
    parts = ["# Metrics", GENERATED, linked(INTRODUCTION), "## The gateway"]
    for section in gateway_sections():
        parts += [f"### {section.heading}", linked(section.sentence), _table(section.build())]
    parts += [
        "## The engines' counts of drafts",
        "`tierflow_mailbox_events_total` and `tierflow_mailbox_levels` have these values of their "
        'label `count`, as far as the engine reports them: the latter those that say "now", the '
        "former all others, which count since the engine's start.",
        table(("count", "meaning"), ((code(name), text) for name, text in MEANINGS.items())),
        "## The device agent",
        linked("Served on the device's own port, 8090: docs/device-agent.md."),
        _table(agent_registry()),
    ]
    return paragraphs(*parts)


def families(registry: CollectorRegistry) -> Iterator[Family]:
    # prometheus_client shows the names of labels only in samples, of which there are none yet.
    for collector in registry._collector_to_names:
        of_wrapper = getattr(collector, "_labelnames", None)
        for metric in collector.collect():
            ending = "_total" if metric.type == "counter" else ""
            labels = metric._labelnames if of_wrapper is None else of_wrapper  # type: ignore[attr-defined]
            yield Family(
                name=metric.name + ending,
                kind=metric.type,
                labels=tuple(labels),
                meaning=metric.documentation,
            )


def _table(registry: CollectorRegistry) -> str:
    return table(
        ("metric", "type", "labels", "meaning"),
        (
            (code(family.name), family.kind, ", ".join(family.labels), linked(family.meaning))
            for family in families(registry)
        ),
    )


def _registry_with(build: Callable[[CollectorRegistry], object]) -> CollectorRegistry:
    registry = CollectorRegistry()
    build(registry)
    return registry


def registry_of(*collectors: Collector) -> CollectorRegistry:
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)
    return registry
