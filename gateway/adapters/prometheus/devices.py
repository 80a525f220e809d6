"""Devices: the metrics of their connections, and of members and their work.

No label tells one device from another: their number is not bounded.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

ROUND_TRIP_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 3.0, 10.0)
BANDWIDTH_BUCKETS = (1e4, 3e4, 1e5, 3e5, 1e6, 3e6, 1e7, 3e7, 1e8, 1e9)
WORK_BUCKETS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 180.0, 600.0)


class DeviceMetrics:
    """The `DeviceTelemetry` port."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._devices = Gauge(
            "tierflow_devices_connected",
            "Devices with a connection to this gateway now.",
            registry=registry,
        )
        traffic = Counter(
            "tierflow_device_bytes",
            "Bytes of frames. direction: up (from devices) or down (to them).",
            ("direction",),
            registry=registry,
        )
        self._up, self._down = traffic.labels("up"), traffic.labels("down")
        self._errors = Counter(
            "tierflow_device_frame_errors",
            "Frames that were refused, by the error code.",
            ("code",),
            registry=registry,
        )
        self._round_trip = Histogram(
            "tierflow_device_round_trip_seconds",
            "Round trip to devices, as they measured it.",
            buckets=ROUND_TRIP_BUCKETS,
            registry=registry,
        )
        self._bandwidth = Histogram(
            "tierflow_device_bandwidth_bytes_per_second",
            "Bandwidth from devices, as they measured it.",
            buckets=BANDWIDTH_BUCKETS,
            registry=registry,
        )

    def connected(self, devices: int) -> None:
        self._devices.set(devices)

    def traffic(self, up: int, down: int) -> None:
        if up:
            self._up.inc(up)
        if down:
            self._down.inc(down)

    def link(self, round_trip_s: float, bytes_per_s: float) -> None:
        if round_trip_s > 0:
            self._round_trip.observe(round_trip_s)
        if bytes_per_s > 0:
            self._bandwidth.observe(bytes_per_s)

    def refused(self, code: str) -> None:
        self._errors.labels(code).inc()


class MemberMetrics:
    """The `MemberTelemetry` port."""

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
            buckets=WORK_BUCKETS,
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
