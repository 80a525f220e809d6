"""Prometheus metrics of devices and their sessions. Every label comes from a bounded set."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.adapters.mailbox import Mailbox
from gateway.core.speculation.session import Step

AGE_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.5, 1.0, 3.0)
ROUND_TRIP_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 3.0, 10.0)
BANDWIDTH_BUCKETS = (1e4, 3e4, 1e5, 3e5, 1e6, 3e6, 1e7, 3e7, 1e8, 1e9)
STEP_BUCKETS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 17, 33)
PLACES = 16
"""Places in a step that are told apart; all beyond count together."""
MAX_COUNTS = 32
_COUNT_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


class SpeculationMetrics:
    """Implements `DeviceTelemetry`, and the counting half of `SessionTelemetry`."""

    def __init__(
        self, registry: CollectorRegistry, mailboxes: Callable[[], Sequence[Mailbox]]
    ) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"tierflow_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
            return Histogram(f"tierflow_{name}", text, labels, buckets=buckets, registry=registry)

        self._sessions = counter(
            "speculation_sessions", "Sessions by tier and how they ended.", "tier", "outcome"
        )
        self._active = Gauge(
            "tierflow_speculation_active_sessions",
            "Sessions now, by how they are answered.",
            ("mode",),
            registry=registry,
        )
        self._drafts = counter(
            "speculation_draft_tokens",
            "Draft tokens from devices: forwarded to the verifier; late, when it was past them; "
            "dropped, when it could not be reached.",
            "tier",
            "fate",
        )
        self._accepted = counter(
            "speculation_accepted_tokens", "Draft tokens that came true.", "tier"
        )
        self._steps = counter("speculation_steps", "Batches of verified tokens.", "tier")
        self._places = counter(
            "speculation_position_tokens",
            "Draft tokens by their place in the step that looked at them (from 0), and whether "
            "they came true.",
            "tier",
            "position",
            "result",
        )
        self._age = histogram(
            "speculation_draft_age_seconds",
            "From forwarding a draft until it came back verified.",
            AGE_BUCKETS,
            "tier",
        )
        self._width = histogram(
            "speculation_tokens_per_step", "Tokens that one step gave.", STEP_BUCKETS, "tier"
        )
        self._devices = Gauge(
            "tierflow_devices_connected", "Devices with a connection now.", registry=registry
        )
        self._bytes = counter(
            "device_bytes", "Frames from devices (up) and to them (down), in bytes.", "direction"
        )
        self._errors = counter(
            "device_frame_errors", "Frames that were refused, by the reason.", "code"
        )
        self._round_trip = histogram(
            "device_round_trip_seconds", "As devices measured it.", ROUND_TRIP_BUCKETS
        )
        self._bandwidth = histogram(
            "device_bandwidth_bytes_per_second", "As devices measured it.", BANDWIDTH_BUCKETS
        )
        self._up, self._down = self._bytes.labels("up"), self._bytes.labels("down")
        registry.register(_Mailboxes(mailboxes))

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

    def began(self, tier: str) -> None:
        self._active.labels(f"device-{tier}").inc()

    def ended(self, tier: str, outcome: str) -> None:
        self._active.labels(f"device-{tier}").dec()
        self._sessions.labels(tier, outcome).inc()

    def drafts(self, tier: str, fate: str, tokens: int) -> None:
        _bound(self._drafts, tier, fate).inc(tokens)

    def step(self, tier: str, step: Step) -> None:
        _bound(self._steps, tier).inc()
        self._observe_width(tier, step.tokens)
        if step.accepted:
            _bound(self._accepted, tier).inc(step.accepted)
            for place in range(step.drafted):
                _bound(self._places, tier, _place(place), "accepted").inc()
        if step.age_s is not None:
            self._age.labels(tier).observe(step.age_s)
        if step.refused is not None:
            _bound(self._places, tier, _place(step.refused), "refused").inc()

    def _observe_width(self, tier: str, tokens: int) -> None:
        self._width.labels(tier).observe(tokens)


def _place(place: int) -> str:
    return str(place) if place < PLACES else f"{PLACES}+"


@lru_cache(maxsize=512)
def _bound(counter: Counter, *labels: str) -> Counter:
    return counter.labels(*labels)


class _Mailboxes(Collector):
    """The mailboxes' states, read when someone asks."""

    def __init__(self, mailboxes: Callable[[], Sequence[Mailbox]]) -> None:
        self._mailboxes = mailboxes

    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily(
            "tierflow_mailbox_connected", "1 when drafts reach the engine.", labels=["endpoint"]
        )
        counts = GaugeMetricFamily(
            "tierflow_mailbox_count",
            "What the engine counts about its drafts, since its start.",
            labels=["endpoint", "count"],
        )
        for mailbox in self._mailboxes():
            up.add_metric([mailbox.endpoint_id], float(mailbox.connected))
            for name, value in list(mailbox.counts.items())[:MAX_COUNTS]:
                if _COUNT_NAME.fullmatch(name):
                    counts.add_metric([mailbox.endpoint_id, name], float(value))
        return [up, counts]
