"""Resumable streams, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge


class ResumableMetrics:
    """The `ResumableTelemetry` port. `connected`, `away` and `kept_bytes` are asked whenever
    someone reads the page."""

    def __init__(
        self,
        *,
        registry: CollectorRegistry,
        connected: Callable[[], int],
        away: Callable[[], int],
        kept_bytes: Callable[[], int],
    ) -> None:
        streams = Gauge(
            "tierflow_resumable_streams",
            "Resumable streams now. caller: connected or away; those that were sent to their end "
            "are away until their time is up.",
            ["caller"],
            registry=registry,
        )
        streams.labels("connected").set_function(connected)
        streams.labels("away").set_function(away)
        size = Gauge(
            "tierflow_resumable_kept_bytes",
            "What all resumable streams cost in memory now.",
            registry=registry,
        )
        size.set_function(kept_bytes)
        self._resumed = Counter(
            "tierflow_streams_resumed_total",
            "Callers who came back to a stream. replica: own, or other where another replica had "
            "the stream.",
            ["replica"],
            registry=registry,
        )
        self._lost = Counter(
            "tierflow_streams_lost_total",
            "Resumable streams that ended before their caller had everything, or were asked for in "
            "vain. reason: expired (the caller stayed away), evicted (too many or too large), "
            "overflown (events are not kept any more), replica_gone, broken (a fault of the "
            "gateway's own) or stopped (the replica ended).",
            ["reason"],
            registry=registry,
        )

    def resumed(self, replica: str) -> None:
        self._resumed.labels(replica).inc()

    def lost(self, reason: str) -> None:
        self._lost.labels(reason).inc()
