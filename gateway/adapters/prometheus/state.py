"""How the shared state does, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class StateMetrics:
    """The `StateTelemetry` port. `problem` is asked whenever someone reads the page."""

    def __init__(self, registry: CollectorRegistry, problem: Callable[[], str | None]) -> None:
        up = Gauge(
            "tierflow_state_up",
            "1 while the shared state can be used, or is this replica's own.",
            registry=registry,
        )
        up.set_function(lambda: float(problem() is None))
        self._operations = Counter(
            "tierflow_state_operations_total",
            "Operations on the shared state. outcome: ok, lost (refused), local (answered by the "
            "replica's own state) or refused (too large, or not allowed).",
            ["operation", "outcome"],
            registry=registry,
        )
        self._emptied = Counter(
            "tierflow_state_emptied",
            "Times that this gateway found the shared state emptied: enrolled devices must enrol "
            "again.",
            registry=registry,
        )
        self._seconds = Histogram(
            "tierflow_state_seconds",
            "Time of round trips to Redis, failed ones included.",
            buckets=BUCKETS,
            registry=registry,
        )

    def round_trip(self, seconds: float) -> None:
        self._seconds.observe(seconds)

    def emptied(self) -> None:
        self._emptied.inc()

    def operations(self, name: str, outcome: str, number: int) -> None:
        self._operations.labels(name, outcome).inc(number)
