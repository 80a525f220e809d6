"""Resumable streams, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge

STATES = ("connected", "away", "delivered")


class ResumableMetrics:
    """The `ResumableTelemetry` port. `streams` gives the number of streams by their state, and
    `kept_bytes` their cost; both are asked whenever someone reads the page."""

    def __init__(
        self,
        *,
        registry: CollectorRegistry,
        streams: Callable[[], Mapping[str, int]],
        kept_bytes: Callable[[], int],
    ) -> None:
        numbers = Gauge(
            "tierflow_resumable_streams",
            "Resumable streams now. state: connected, away (without their caller) or delivered "
            "(sent to their end, and kept until their time is up).",
            ["state"],
            registry=registry,
        )
        for state in STATES:
            numbers.labels(state).set_function(partial(_number, streams, state))
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


def _number(streams: Callable[[], Mapping[str, int]], state: str) -> int:
    return streams().get(state, 0)
