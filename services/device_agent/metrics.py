"""The agent's own Prometheus metrics."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge

from services.device_agent.answer import Report


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._answers = self._counter("answers", "Answers by way.", ["way", "degraded"])
        self._tokens = self._counter("tokens", "Tokens of answers, by who vouches.", ["kind"])
        self._drafted = self._counter("drafted_tokens", "Draft tokens sent to a verifier.", [])
        self._accepted = self._counter("accepted_tokens", "Those that came back verified.", [])
        self._active = Gauge(
            "tierflow_device_active_answers", "Answers now.", ["way"], registry=self.registry
        )
        self._work = self._counter("member_work", "Work that is over.", ["kind", "outcome"])
        self._refused = self._counter("member_refusals", "Refusals of work, by code.", ["code"])
        self._work_tokens = self._counter("member_tokens", "Tokens generated as work.", ["kind"])
        self._acceptance = Gauge(
            "tierflow_device_acceptance",
            "Share of first guesses that prove right, and of second ones where the first is wrong.",
            ["model", "guess"],
            registry=self.registry,
        )
        self._step = Gauge(
            "tierflow_device_verifier_step_seconds",
            "Between two frames of tokens.",
            ["model"],
            registry=self.registry,
        )

    def _counter(self, name: str, text: str, labels: list[str]) -> Counter:
        return Counter(f"tierflow_device_{name}", text, labels, registry=self.registry)

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """A gauge that is read when someone asks."""
        gauge = Gauge(f"tierflow_device_{name}", text, registry=self.registry)
        gauge.set_function(value)

    def learned(self, model: str, acceptance: float, second: float, step_s: float) -> None:
        """What is known of a verifying model now."""
        self._acceptance.labels(model, "first").set(acceptance)
        self._acceptance.labels(model, "second").set(second)
        self._step.labels(model).set(step_s)

    def worked(self, kind: str, outcome: str, tokens: int = 0) -> None:
        """A piece of work is over; `tokens` that were generated for it."""
        self._work.labels(kind, outcome).inc()
        self._work_tokens.labels(kind).inc(tokens)

    def refused(self, code: str) -> None:
        self._refused.labels(code).inc()

    def begun(self, way: str) -> None:
        self._active.labels(way).inc()

    def ended(self, report: Report) -> None:
        self._active.labels(report.way).dec()
        self._answers.labels(report.way, "yes" if report.degraded else "no").inc()
        self._tokens.labels("verified").inc(report.verified)
        self._tokens.labels("unverified").inc(report.unverified)
        self._drafted.inc(report.drafted)
        self._accepted.inc(report.accepted)
