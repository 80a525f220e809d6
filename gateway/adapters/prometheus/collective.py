"""The `CollectiveTelemetry` port: Prometheus metrics. No label names a device or a caller."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from gateway.adapters.prometheus.collective_series import (
    Decisions,
    MemberSeries,
    Requests,
    Setbacks,
    Spending,
)
from gateway.core.collective.report import Report
from gateway.core.prices import Prices


class CollectiveMetrics:
    def __init__(self, registry: CollectorRegistry, prices: Prices) -> None:
        self._requests = Requests(registry)
        self._members = MemberSeries(registry)
        self._decisions = Decisions(registry)
        self._spending = Spending(registry, prices)
        self._setbacks = Setbacks(registry)

    def finished(self, report: Report) -> None:
        self._requests.take(report)
        # An answer from the store was counted when it was made.
        if report.replayed:
            return
        self._members.take(report)
        # Without a quorum nobody was asked.
        if report.quorum:
            self._decisions.take(report)
            self._spending.take(report)

    def feedback(self, domain: str) -> None:
        self._requests.judged.labels(domain).inc()

    def state_lost(self, step: str) -> None:
        self._setbacks.state_lost.labels(step).inc()

    def embedding_failed(self, source: str) -> None:
        self._setbacks.embedding.labels(source).inc()
