"""The `MemberTelemetry` port: Prometheus metrics of members and their work."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 180.0, 600.0)


class MemberMetrics:
    """No label tells one device from another: their number is not bounded."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._devices = Gauge(
            "tierflow_devices_registered",
            "Members that are connected to this gateway now.",
            registry=registry,
        )
        self._registrations = Counter(
            "tierflow_device_registrations",
            "Registrations. outcome: registered, or why it was refused: duplicate_device, "
            "owner_differs or privacy_not_allowed.",
            ("outcome",),
            registry=registry,
        )
        self._work = Counter(
            "tierflow_device_work",
            "Work that this gateway asked of devices, wherever they are connected. kind: generate "
            "or revise. outcome: stop, length, cancelled, or the code of its failure.",
            ("kind", "outcome"),
            registry=registry,
        )
        self._seconds = Histogram(
            "tierflow_device_work_seconds",
            "Time from asking to the end of the answer.",
            ("kind",),
            buckets=SECONDS,
            registry=registry,
        )
        self._refusals = Counter(
            "tierflow_device_work_refusals",
            "Work that devices connected to this gateway refused, by their code.",
            ("code",),
            registry=registry,
        )

    def registered(self, devices: int) -> None:
        self._devices.set(devices)

    def registration(self, outcome: str) -> None:
        self._registrations.labels(outcome).inc()

    def work(self, kind: str, outcome: str, seconds: float) -> None:
        self._work.labels(kind, outcome).inc()
        self._seconds.labels(kind).observe(seconds)

    def refused(self, code: str) -> None:
        self._refusals.labels(code).inc()
