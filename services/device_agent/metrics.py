"""The agent's own Prometheus metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.device_agent.answers.answer import AnswerReport

GAUGES = {
    "member": "1 while the device is registered as a member.",
    "member_active_work": "Pieces of work in progress now.",
    "draft_step_seconds": "Time for one draft token.",
    "link_up": "1 while the gateway can be reached.",
    "link_round_trip_seconds": "Round trip to the gateway.",
    "link_bytes_per_second": "Bandwidth to the gateway, as last measured.",
}
COUNTERS = {
    "link_sent_bytes": "Bytes of frames sent.",
    "link_received_bytes": "Bytes of frames received.",
    "link_connects": "Connections made.",
}
WATCHED = GAUGES | COUNTERS
"""What is read when someone asks, and its meaning."""


class _WatchedCounter(Collector):
    """A counter whose value is kept elsewhere and never falls."""

    def __init__(self, name: str, text: str, value: Callable[[], float]) -> None:
        self._name, self._text, self._value = name, text, value

    def collect(self) -> Iterable[Metric]:
        return [CounterMetricFamily(self._name, self._text, value=self._value())]


class _ConditionMetrics(Collector):
    """The degraded modes as they are now."""

    def __init__(self, current: Callable[[], Iterable[str]]) -> None:
        self._current = current

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily(
            "tierflow_device_condition",
            "1 while the agent's /ready names the condition; absent otherwise.",
            labels=["condition"],
        )
        for name in self._current():
            family.add_metric([name], 1.0)
        return [family]


class AgentMetrics:
    """The Prometheus metrics of one agent, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._answers = self._counter(
            "answers",
            "Answers. way: on-device, device-edge, device-cloud or device-edge-cloud. degraded: "
            "yes where a better way was lost or missing.",
            ["way", "degraded"],
        )
        self._tokens = self._counter(
            "tokens", "Tokens of answers. kind: verified (by a server) or unverified.", ["kind"]
        )
        self._resumptions = self._counter(
            "resumptions", "Answers that went on over a new connection when theirs was lost.", []
        )
        self._drafted = self._counter("drafted_tokens", "Draft tokens sent to a verifier.", [])
        self._accepted = self._counter(
            "accepted_tokens", "Draft tokens that came back verified.", []
        )
        self._middle = self._counter(
            "middle_tokens",
            "Verified tokens that a tier between device and verifier wrote first, by tier.",
            ["tier"],
        )
        self._active = Gauge(
            "tierflow_device_active_answers",
            "Answers in progress now, by way.",
            ["way"],
            registry=self.registry,
        )
        self._work = self._counter(
            "member_work",
            "Work that ended. outcome: stop, length, refused, deadline, recalled, lost or failed.",
            ["kind", "outcome"],
        )
        self._refused = self._counter(
            "member_refusals", "Work that the device refused or gave up, by code.", ["code"]
        )
        self._work_tokens = self._counter(
            "member_tokens", "Tokens that the device generated as work.", ["kind"]
        )
        self._acceptance = Gauge(
            "tierflow_device_acceptance",
            "Share of guesses that prove right. guess: first, or second where the first is wrong.",
            ["model", "guess"],
            registry=self.registry,
        )
        self._step = Gauge(
            "tierflow_device_verifier_step_seconds",
            "Time between two frames of tokens from the verifier.",
            ["model"],
            registry=self.registry,
        )

    def _counter(self, name: str, text: str, labels: list[str]) -> Counter:
        return Counter(f"tierflow_device_{name}", text, labels, registry=self.registry)

    def watch(self, name: str, value: Callable[[], float]) -> None:
        """Export one of the figures in `WATCHED`."""
        full = f"tierflow_device_{name}"
        if name in COUNTERS:
            self.registry.register(_WatchedCounter(full, COUNTERS[name], value))
            return
        Gauge(full, GAUGES[name], registry=self.registry).set_function(value)

    def watch_conditions(self, current: Callable[[], Iterable[str]]) -> None:
        """Export the names of the conditions, as they are when someone asks."""
        self.registry.register(_ConditionMetrics(current))

    def verifier_measured(
        self, model: str, *, acceptance: float, second: float, step_s: float
    ) -> None:
        """What is known of a verifying model now."""
        self._acceptance.labels(model, "first").set(acceptance)
        self._acceptance.labels(model, "second").set(second)
        self._step.labels(model).set(step_s)

    def work_ended(self, kind: str, outcome: str, tokens: int = 0) -> None:
        """A piece of work has ended, for which `tokens` were generated."""
        self._work.labels(kind, outcome).inc()
        self._work_tokens.labels(kind).inc(tokens)

    def work_refused(self, code: str) -> None:
        self._refused.labels(code).inc()

    def answer_started(self, placement: str) -> None:
        self._active.labels(placement).inc()

    def answer_resumed(self) -> None:
        self._resumptions.inc()

    def answer_ended(self, report: AnswerReport) -> None:
        self._active.labels(report.placement).dec()
        self._answers.labels(report.placement, "yes" if report.degraded else "no").inc()
        self._tokens.labels("verified").inc(report.verified_tokens)
        self._tokens.labels("unverified").inc(report.unverified_tokens)
        self._drafted.inc(report.drafted_tokens)
        self._accepted.inc(report.accepted_tokens)
        for tier, tokens in report.middle_tokens.items():
            self._middle.labels(tier).inc(tokens)
