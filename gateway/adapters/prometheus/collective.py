"""Collectives: their metrics. No label names a device or a caller."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram

from gateway.core.collective.report import Report
from gateway.core.prices import Prices

MEMBER_BUCKETS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16)
ROUND_BUCKETS = (0, 1, 2, 3)
SECONDS_BUCKETS = (0.005, 0.01, 0.03, 0.1, 0.2, 0.4, 0.8, 1.5, 3.0, 6.0, 12.0, 30.0, 60.0)


class _Series:
    """The way in which all series here are made."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"tierflow_collective_{name}", text, labels, registry=self._registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
        full = f"tierflow_collective_{name}"
        return Histogram(full, text, labels, buckets=buckets, registry=self._registry)


class _Requests(_Series):
    """Requests: how they ended, which were repeated, and what callers say of their answers."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self._ended = self._counter(
            "requests",
            "Collective requests that ended. mode: members or self-moa. decided_by: agreement, "
            "template, majority, weighted, best-of-n, own, plain, or none without an answer. "
            "outcome: as in tierflow_requests_total.",
            "mode",
            "decided_by",
            "outcome",
        )
        self._again = self._counter(
            "repeated",
            "Requests with a known idempotency key. how: replayed (from the store) or resumed "
            "(where another replica had left it).",
            "how",
        )
        self.judged = self._counter(
            "feedback", "Answers that callers judged, by the question's domain.", "domain"
        )

    def record(self, report: Report) -> None:
        self._ended.labels(report.mode, report.decided_by or "none", report.outcome).inc()
        if report.replayed:
            self._again.labels("replayed").inc()
        elif report.resumed:
            self._again.labels("resumed").inc()


class _MemberSeries(_Series):
    """Members: what became of the requests to them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self._contributions = self._counter(
            "members",
            "Requests to members. role: answer or revise. outcome: answered, straggler (the "
            "request did not wait for it), or the code of a failure.",
            "role",
            "outcome",
        )
        self._seconds = self._histogram(
            "member_seconds",
            "Time until a member had answered. role: answer or revise.",
            SECONDS_BUCKETS,
            "role",
        )

    def record(self, report: Report) -> None:
        for contribution in report.contributions:
            self._contributions.labels(
                contribution.role, contribution.code or contribution.outcome
            ).inc()
            if contribution.answered:
                self._seconds.labels(contribution.role).observe(contribution.seconds)


class _Decisions(_Series):
    """Decisions: how many members were asked, and how one answer was made of theirs."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self._asked = self._histogram(
            "members_asked",
            "Members, or samples, of one request that were asked for a first answer.",
            MEMBER_BUCKETS,
        )
        self._rounds = self._histogram(
            "rounds", "Rounds of revision of one request.", ROUND_BUCKETS
        )
        self._misses = self._counter(
            "quorum_misses", "Requests with fewer answers than their quorum."
        )
        self._degraded = self._counter(
            "degraded",
            "Requests answered with less than was asked. reason: no_members, no_answers, "
            "quorum_missed or own_missing.",
            "reason",
        )
        self._disagreements = self._counter(
            "disagreements", "Requests in which not all members gave the same answer."
        )
        self._exits = self._counter(
            "early_exits",
            "Rounds that ended before all members had answered. reason: agreed, or decided (the "
            "others could not change the vote or the choice).",
            "reason",
        )
        self._fallbacks = self._counter(
            "fallbacks",
            "Votes that replaced a failed aggregator, by the code of its failure.",
            "code",
        )

    def record(self, report: Report) -> None:
        self._asked.observe(
            sum(contribution.role == "answer" for contribution in report.contributions)
        )
        self._rounds.observe(report.rounds)
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


class _Spending(_Series):
    """Spending: tokens, their cost, and seconds."""

    def __init__(self, registry: CollectorRegistry, prices: Prices) -> None:
        super().__init__(registry)
        self._prices = prices
        self._tokens = self._counter(
            "tokens",
            "Tokens of collectives, by the tier that made them. kind: prompt or completion.",
            "tier",
            "kind",
        )
        self._cost = self._counter(
            "cost", "Cost of these tokens, in the currency of `prices`.", "tier"
        )
        self._steps = self._histogram(
            "step_seconds",
            "Time of one step of a request. step: select, answer, aggregate or revise.",
            SECONDS_BUCKETS,
            "step",
        )

    def record(self, report: Report) -> None:
        for (tier, kind), tokens in report.spent.items():
            self._tokens.labels(tier, kind).inc(tokens)
            self._cost.labels(tier).inc(self._prices.of(tier, tokens))
        for step, seconds in report.steps.items():
            self._steps.labels(step).observe(seconds)


class _Setbacks(_Series):
    """Setbacks: what collectives went on without."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.state_lost = self._counter(
            "state_lost", "Steps that went on without the shared state.", "step"
        )
        self.embedding = self._counter(
            "embedding_failures",
            "Times that words were compared because vectors could not be made.",
            "source",
        )


class CollectiveMetrics:
    """The `CollectiveTelemetry` port."""

    def __init__(self, registry: CollectorRegistry, prices: Prices) -> None:
        self._requests = _Requests(registry)
        self._members = _MemberSeries(registry)
        self._decisions = _Decisions(registry)
        self._spending = _Spending(registry, prices)
        self._setbacks = _Setbacks(registry)

    def finished(self, report: Report) -> None:
        self._requests.record(report)
        # An answer from the store was counted when it was made.
        if report.replayed:
            return
        self._members.record(report)
        # Without a quorum nobody was asked.
        if report.quorum:
            self._decisions.record(report)
            self._spending.record(report)

    def feedback(self, domain: str) -> None:
        self._requests.judged.labels(domain).inc()

    def state_lost(self, step: str) -> None:
        self._setbacks.state_lost.labels(step).inc()

    def embedding_failed(self, source: str) -> None:
        self._setbacks.embedding.labels(source).inc()
