"""Prometheus metrics of chains of tiers. Every label comes from a bounded set."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge

from gateway.core.speculation.chain_report import ChainReport


class ChainMetrics:
    """The `ChainTelemetry` port."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"tierflow_chain_{name}", text, labels, registry=registry)

        self._answers = counter(
            "answers",
            "Answers through tiers in the middle. used: those that were asked, joined by +, or "
            "none, where they were left out.",
            "chain",
            "used",
        )
        self._tokens = counter(
            "tokens", "Tokens of these answers, by the tier that wrote them first.", "chain", "tier"
        )
        self._offered = counter(
            "offered_tokens", "Tokens that a tier in the middle drafted.", "chain", "tier"
        )
        self._rollbacks = counter(
            "rollbacks",
            "Times that the tier above corrected a tier in the middle.",
            "chain",
            "tier",
        )
        self._streams = counter(
            "streams",
            "Streams of the engines in the middle: the first of an answer, and one after each "
            "correction or pause.",
            "chain",
            "tier",
        )
        self._losses = counter(
            "losses",
            "Answers that went on without a tier in the middle. cause: an error code.",
            "chain",
            "tier",
            "cause",
        )
        self._unused = counter(
            "unused",
            "Answers asked of a chain that came without drafts. reason: the field of the "
            "request beside which there are none, route, body-too-large, another-tier, "
            "tokenizer-unknown or endpoint-takes-no-drafts.",
            "chain",
            "reason",
        )
        self._gain = Gauge(
            "tierflow_chain_gain",
            "Time of a usual answer without a tier in the middle by that with it, measured last.",
            ("chain", "tier"),
            registry=registry,
        )

    def chain_ended(self, report: ChainReport, gains: Mapping[str, float]) -> None:
        chain = report.chain
        self._answers.labels(chain, "+".join(report.used) or "none").inc()
        for tier, tokens in report.written.items():
            self._tokens.labels(chain, tier).inc(tokens)
        for middle in report.middles:
            self._offered.labels(chain, middle.tier).inc(middle.offered)
            self._rollbacks.labels(chain, middle.tier).inc(middle.rollbacks)
            self._streams.labels(chain, middle.tier).inc(middle.streams)
            if middle.problem:
                self._losses.labels(chain, middle.tier, middle.problem).inc()
        for tier, gain in gains.items():
            self._gain.labels(chain, tier).set(gain)

    def chain_unused(self, chain: str, reason: str) -> None:
        self._unused.labels(chain, reason).inc()
