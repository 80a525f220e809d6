"""The `CollectiveTelemetry` port: Prometheus metrics. No label names a device or a caller."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram

from gateway.core.collective.cost import Prices
from gateway.core.collective.report import Part, Report

MEMBER_BUCKETS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16)
ROUND_BUCKETS = (0, 1, 2, 3)
SECONDS_BUCKETS = (0.005, 0.01, 0.03, 0.1, 0.2, 0.4, 0.8, 1.5, 3.0, 6.0, 12.0, 30.0, 60.0)


class CollectiveMetrics:
    def __init__(self, registry: CollectorRegistry, prices: Prices) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"tierflow_collective_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
            full = f"tierflow_collective_{name}"
            return Histogram(full, text, labels, buckets=buckets, registry=registry)

        self._prices = prices
        self._requests = counter(
            "requests",
            "Collective requests by mode, by what decided the answer, and how they ended.",
            "mode",
            "decided_by",
            "outcome",
        )
        self._asked = histogram(
            "members_asked", "Members, or samples, asked for a first answer.", MEMBER_BUCKETS
        )
        self._rounds = histogram("rounds", "Rounds of revision in a request.", ROUND_BUCKETS)
        self._members = counter(
            "members",
            "What became of requests to members: answered, straggler, or the code of a failure.",
            "role",
            "outcome",
        )
        self._member_seconds = histogram(
            "member_seconds", "Until a member had answered.", SECONDS_BUCKETS, "role"
        )
        self._misses = counter("quorum_misses", "Requests with fewer answers than their quorum.")
        self._degraded = counter(
            "degraded", "Requests answered with less than was asked.", "reason"
        )
        self._disagreements = counter(
            "disagreements", "Requests in which not all members gave the same answer."
        )
        self._exits = counter("early_exits", "Rounds ended before all had answered.", "reason")
        self._fallbacks = counter(
            "fallbacks", "Votes in the place of an aggregator, by its failure.", "code"
        )
        self._tokens = counter(
            "tokens", "By where they were made, and prompt or completion.", "tier", "kind"
        )
        self._cost = counter("cost", "In the currency of collective.prices.", "tier")
        self._steps = histogram(
            "step_seconds",
            "Of one request, by step: select, answer, aggregate, revise.",
            SECONDS_BUCKETS,
            "step",
        )
        self._again = counter(
            "repeated",
            "Requests with a known idempotency key: replayed from the store, or resumed where "
            "another replica had left them.",
            "how",
        )
        self._feedback = counter("feedback", "Answers that callers judged.", "domain")
        self._state_lost = counter(
            "state_lost", "Steps that went on without the shared state.", "step"
        )
        self._embedding = counter(
            "embedding_failures", "Times that words were compared instead.", "source"
        )

    def finished(self, report: Report) -> None:
        self._requests.labels(report.mode, report.decided_by or "none", report.outcome).inc()
        if report.replayed:
            self._again.labels("replayed").inc()
            return
        if report.resumed:
            self._again.labels("resumed").inc()
        for part in report.parts:
            self._part(part)
        if not report.quorum:
            return
        self._asked.observe(sum(part.role == "answer" for part in report.parts))
        self._rounds.observe(report.rounds)
        self._judged(report)
        for (tier, kind), tokens in report.spent.items():
            self._tokens.labels(tier, kind).inc(tokens)
            self._cost.labels(tier).inc(self._prices.of(tier, tokens))
        for step, seconds in report.steps.items():
            self._steps.labels(step).observe(seconds)

    def feedback(self, domain: str) -> None:
        self._feedback.labels(domain).inc()

    def state_lost(self, step: str) -> None:
        self._state_lost.labels(step).inc()

    def embedding_failed(self, source: str) -> None:
        self._embedding.labels(source).inc()

    def _part(self, part: Part) -> None:
        self._members.labels(part.role, part.code or part.outcome).inc()
        if part.answered:
            self._member_seconds.labels(part.role).observe(part.seconds)

    def _judged(self, report: Report) -> None:
        if report.answered < report.quorum:
            self._misses.inc()
        if report.degraded:
            self._degraded.labels(report.degraded).inc()
        if report.disagreement:
            self._disagreements.inc()
        if report.early_exit:
            self._exits.labels(report.early_exit).inc()
        if report.fallback:
            self._fallbacks.labels(report.fallback).inc()
