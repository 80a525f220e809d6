"""Prometheus metrics, all under `tierflow_`. Every label comes from a bounded set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.core.outcome import Outcome
from gateway.core.types import EndpointState

TTFT_BUCKETS = (0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
GAP_BUCKETS = (0.001, 0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.08, 0.15, 0.3, 1, 5)
QUEUE_BUCKETS = (0.0005, 0.001, 0.005, 0.02, 0.1, 0.3, 1.0, 3.0, 10.0)
DURATION_BUCKETS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)


class Metrics:
    """Owns the registry. `states` is read at each scrape of ours, for the endpoint gauges."""

    def __init__(self, states: Callable[[], Sequence[EndpointState]]) -> None:
        self.registry = CollectorRegistry()
        place = ("tier", "model")
        self._requests = self._counter(
            "requests",
            "Requests that ended. outcome: ok, client_error (an engine's 4xx), cancelled, "
            "client_stalled or an error code. reason: as in x-tierflow-reason. tier and model are "
            "none where no engine was reached.",
            ("tier", "model", "outcome", "reason"),
        )
        self._retries = self._counter(
            "retries",
            "Attempts beyond a request's first, by the pool that failed and the error code.",
            ("pool", "cause"),
        )
        self._tokens = self._counter(
            "tokens",
            "Tokens relayed. kind completion: the engine's figure where the caller asked for "
            "usage, else one per event; kind prompt: where the engine reports them.",
            (*place, "kind"),
        )
        self._ttft = self._histogram(
            "time_to_first_token_seconds",
            "Streams: time from arrival to the first bytes.",
            place,
            TTFT_BUCKETS,
        )
        self._itl = self._histogram(
            "inter_token_latency_seconds", "Streams: time between two pieces.", place, GAP_BUCKETS
        )
        self._tpot = self._histogram(
            "time_per_output_token_seconds",
            "Streams: mean time per token after the first.",
            place,
            GAP_BUCKETS,
        )
        self._duration = self._histogram(
            "request_duration_seconds",
            "Time from arrival to the last byte.",
            place,
            DURATION_BUCKETS,
        )
        self._queue = self._histogram(
            "queue_seconds", "Time of waiting for admission at the gateway.", (), QUEUE_BUCKETS
        )
        self.in_flight = Gauge(
            "tierflow_in_flight_requests",
            "Requests inside the gateway now.",
            registry=self.registry,
        )
        self.waiting = Gauge(
            "tierflow_queued_requests",
            "Requests that wait for admission now.",
            registry=self.registry,
        )
        self.registry.register(_Endpoints(states))
        self._children: dict[tuple[str, str], tuple[Any, ...]] = {}

    def _counter(self, name: str, text: str, labels: Sequence[str]) -> Counter:
        return Counter(f"tierflow_{name}", text, labels, registry=self.registry)

    def _histogram(
        self, name: str, text: str, labels: Sequence[str], buckets: Sequence[float]
    ) -> Histogram:
        return Histogram(f"tierflow_{name}", text, labels, buckets=buckets, registry=self.registry)

    def finished(self, outcome: Outcome) -> None:
        tier, model = outcome.tier, outcome.model or "none"
        self._request_child(tier, model, outcome.kind, outcome.reason).inc()
        _, ttft, tpot, duration, prompt, completion = self._place(tier, model)
        if outcome.endpoint:
            duration.observe(outcome.finished - outcome.request.received)
        if outcome.ttft_s is not None:
            ttft.observe(outcome.ttft_s)
        if outcome.tpot_s is not None:
            tpot.observe(outcome.tpot_s)
        if outcome.prompt_tokens:
            prompt.inc(outcome.prompt_tokens)
        if outcome.completion_tokens:
            completion.inc(outcome.completion_tokens)
        self._queue.observe(outcome.queue_s)

    def gap(self, model: str, tier: str, seconds: float) -> None:
        self._place(tier, model)[0].observe(seconds)

    def retried(self, pool: str, cause: str) -> None:
        self._retries.labels(pool, cause).inc()

    def _request_child(self, *labels: str) -> Counter:
        return _bound(self._requests, labels)

    def _place(self, tier: str, model: str) -> tuple[Any, ...]:
        children = self._children.get((tier, model))
        if children is None:
            children = self._children[tier, model] = (
                self._itl.labels(tier, model),
                self._ttft.labels(tier, model),
                self._tpot.labels(tier, model),
                self._duration.labels(tier, model),
                self._tokens.labels(tier, model, "prompt"),
                self._tokens.labels(tier, model, "completion"),
            )
        return children


@lru_cache(maxsize=4096)
def _bound(counter: Counter, labels: tuple[str, ...]) -> Counter:
    return counter.labels(*labels)


class _Endpoints(Collector):
    """The endpoints' states, read when someone asks: nothing to keep in step."""

    def __init__(self, states: Callable[[], Sequence[EndpointState]]) -> None:
        self._states = states

    def collect(self) -> Iterable[Metric]:
        labels = ["pool", "tier", "endpoint"]
        up = GaugeMetricFamily(
            "tierflow_endpoint_up", "1 while the endpoint takes requests.", labels=labels
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
        for state in self._states():
            where = [state.endpoint.pool, state.endpoint.tier.value, state.endpoint.id]
            up.add_metric(where, float(state.healthy))
            busy.add_metric(where, float(state.in_flight))
            queue.add_metric(where, float(state.queue))
            full.add_metric(where, float(state.saturated))
        return [up, busy, queue, full]
