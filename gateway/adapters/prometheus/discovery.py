"""How discovery stands, and what each pool is asked for, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.adapters.endpoints.live import LiveEndpoints
from k8s.discovery.namespace_watch import NamespaceWatch


class DiscoveryMetrics(Collector):
    """The watches' states, read when someone asks."""

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


class PoolMetrics(Collector):
    """What autoscalers scale pools on."""

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
