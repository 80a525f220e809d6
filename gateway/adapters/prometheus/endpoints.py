"""Endpoints, pools and what keeps them current, as they are when Prometheus asks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.adapters.endpoints.live import LiveEndpoints
from gateway.adapters.engines.mailbox import Mailbox
from gateway.core.endpoints.outlier_ejection import Standing
from gateway.core.ports import Clock
from gateway.core.types import EndpointState
from gateway.protocol import mailbox as wire
from k8s.discovery.namespace_watch import NamespaceWatch

MAX_COUNTS = 32
"""Counts of one engine that are shown."""
_COUNT_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


class EndpointMetrics(Collector):
    """The endpoints' states."""

    def __init__(self, states: Callable[[], Sequence[EndpointState]], clock: Clock) -> None:
        self._states = states
        self._clock = clock

    def collect(self) -> Iterable[Metric]:
        labels = ["pool", "tier", "endpoint"]
        up = GaugeMetricFamily(
            "tierflow_endpoint_up",
            "1 while the endpoint passes the look at its health.",
            labels=labels,
        )
        standing = GaugeMetricFamily(
            "tierflow_endpoint_standing",
            "1 for what requests have shown of the endpoint: good, busy (it asks to be left "
            "alone), ejected, trial (single requests try it) or slow_start.",
            labels=[*labels, "standing"],
        )
        busy = GaugeMetricFamily(
            "tierflow_endpoint_in_flight", "This gateway's requests at the endpoint.", labels=labels
        )
        queue = GaugeMetricFamily(
            "tierflow_endpoint_queue",
            "All requests that wait at the endpoint, as this gateway sees them.",
            labels=labels,
        )
        full = GaugeMetricFamily(
            "tierflow_endpoint_saturated",
            "1 while other tiers are preferred to the endpoint.",
            labels=labels,
        )
        now = self._clock.now()
        for state in self._states():
            where = [state.endpoint.pool, state.endpoint.tier.value, state.endpoint.id]
            up.add_metric(where, float(state.healthy))
            busy.add_metric(where, float(state.in_flight))
            queue.add_metric(where, float(state.queue))
            full.add_metric(where, float(state.saturated))
            current = state.health.standing(now)
            for each in Standing:
                standing.add_metric([*where, each.value], float(each is current))
        return [up, standing, busy, queue, full]


class PoolMetrics(Collector):
    """What is asked of each pool, which autoscalers go by."""

    def __init__(self, endpoints: LiveEndpoints) -> None:
        self._endpoints = endpoints

    def collect(self) -> Iterable[Metric]:
        demand = GaugeMetricFamily(
            "tierflow_pool_demand",
            "This gateway's requests at the pool's endpoints, and those held for it. Autoscalers "
            "use it.",
            labels=["pool"],
        )
        held = GaugeMetricFamily(
            "tierflow_pool_held",
            "Requests that wait for a place in a pool that had no healthy endpoint.",
            labels=["pool"],
        )
        for pool in self._endpoints.pools():
            states = [*self._endpoints.states(), *self._endpoints.leaving()]
            inside = sum(s.in_flight for s in states if s.endpoint.pool == pool.name)
            demand.add_metric([pool.name], float(inside + pool.held))
            held.add_metric([pool.name], float(pool.held))
        return [demand, held]


class DiscoveryMetrics(Collector):
    """The states of the watches at the Kubernetes API."""

    def __init__(self, watches: Callable[[], Sequence[NamespaceWatch]]) -> None:
        self._watches = watches

    def collect(self) -> Iterable[Metric]:
        labels = ["namespace"]
        connected = GaugeMetricFamily(
            "tierflow_discovery_connected",
            "1 while the API server reports changes. At 0 the last known endpoints stay in use.",
            labels=labels,
        )
        failures = CounterMetricFamily(
            "tierflow_discovery_failures",
            "Times that the connection to the API server was lost or refused.",
            labels=labels,
        )
        lists = CounterMetricFamily(
            "tierflow_discovery_lists",
            "Times that all EndpointSlices were listed anew.",
            labels=labels,
        )
        for watch in self._watches():
            connected.add_metric([watch.namespace], float(not watch.problem))
            failures.add_metric([watch.namespace], float(watch.failures))
            lists.add_metric([watch.namespace], float(watch.lists))
        return [connected, failures, lists]


class MailboxMetrics(Collector):
    """The states of the engines' mailboxes for drafts."""

    def __init__(self, mailboxes: Callable[[], Sequence[Mailbox]]) -> None:
        self._mailboxes = mailboxes

    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily(
            "tierflow_mailbox_connected", "1 while drafts reach the engine.", labels=["endpoint"]
        )
        round_trip = GaugeMetricFamily(
            "tierflow_mailbox_round_trip_seconds",
            "Round trip of drafts between gateway and engine, the shortest of the last few.",
            labels=["endpoint"],
        )
        events = CounterMetricFamily(
            "tierflow_mailbox_events",
            "The engine's own counts of its drafts since its start, listed below.",
            labels=["endpoint", "count"],
        )
        levels = GaugeMetricFamily(
            "tierflow_mailbox_levels",
            "The engine's own figures of its drafts as they are now, listed below.",
            labels=["endpoint", "count"],
        )
        for mailbox in self._mailboxes():
            up.add_metric([mailbox.endpoint_id], float(mailbox.connected))
            if mailbox.connected:
                round_trip.add_metric([mailbox.endpoint_id], mailbox.facts.round_trip_s)
            for name, value in list(mailbox.counts.items())[:MAX_COUNTS]:
                if _COUNT_NAME.fullmatch(name):
                    family = levels if name in wire.LEVELS else events
                    family.add_metric([mailbox.endpoint_id, name], float(value))
        return [up, round_trip, events, levels]
