"""Connections: how many are open, and how many were cut off or not let in."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class ConnectionMetrics:
    """The metrics of connections. `open` counts them now."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._refused = Counter(
            "tierflow_refused_connections",
            "Connections that were not let in or cut off. reason: too_many_connections, "
            "invalid_http, headers_too_large, target_too_long, requests_ahead, headers_timeout, "
            "body_timeout or client_stalled; docs/limits.md.",
            ["reason"],
            registry=registry,
        )
        self.open = Gauge(
            "tierflow_open_connections",
            "Connections of callers and devices that are open now.",
            registry=registry,
        )

    def refused(self, reason: str) -> None:
        self._refused.labels(reason).inc()
