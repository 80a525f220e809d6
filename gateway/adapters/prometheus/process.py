"""What runs here, and since when: rollouts are drawn by it."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge


class ProcessMetrics:
    """The gateway's `version`, and the Unix time at which it started."""

    def __init__(self, registry: CollectorRegistry, *, version: str, started: float) -> None:
        Gauge(
            "tierflow_build_info", "1, by the gateway's version.", ("version",), registry=registry
        ).labels(version).set(1)
        Gauge(
            "tierflow_start_time_seconds", "Unix time of the gateway's start.", registry=registry
        ).set(started)
