"""Prometheus metrics of the cascade. Every label comes from a bounded set."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

from gateway.core.cascade.ports import CascadeOutcome
from gateway.core.prices import Prices

CONFIDENCE_BUCKETS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999, 1.0)


class CascadeMetrics:
    """The `CascadeTelemetry` port. `cost` by tier: what a token of an answer costs there."""

    def __init__(self, registry: CollectorRegistry, prices: Prices) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"tierflow_cascade_{name}", text, labels, registry=registry)

        self._prices = prices
        self._answers = counter(
            "answers", "Answers of tierflow-cascade, by the tier that gave them.", "tier"
        )
        self._escalations = counter(
            "escalations",
            "Requests that went to the tier above. reason: confidence, worst-window, disagreement, "
            "self-check, length-cut, tier-failed or deadline.",
            "reason",
        )
        self._degraded = counter(
            "degraded", "Answers of a lower tier that were given because the tier above failed."
        )
        self._predicted = counter(
            "predicted_tokens",
            "Tokens of a lower tier's answers that were offered to the tier above as a prediction.",
        )
        self._kept = counter("kept_tokens", "Predicted tokens that the tier above kept.")
        self._tokens = counter(
            "tokens",
            "Tokens that a tier made for cascades, samples and self-checks included.",
            "tier",
        )
        self._cost = counter("cost", "Cost of these tokens, in the currency of `prices`.", "tier")
        self._audits = counter(
            "audits",
            "Answers of lower tiers for which the top tier was asked as well. agreed: yes or no.",
            "agreed",
        )
        self._confidence = Histogram(
            "tierflow_cascade_confidence",
            "Confidence in the answers of lower tiers, from 0 to 1.",
            ("tier",),
            buckets=CONFIDENCE_BUCKETS,
            registry=registry,
        )

    def cascaded(self, outcome: CascadeOutcome) -> None:
        if outcome.tier != "none":
            self._answers.labels(outcome.tier).inc()
        if outcome.reason is not None:
            self._escalations.labels(outcome.reason).inc()
        if outcome.degraded is not None:
            self._degraded.inc()
        self._predicted.inc(outcome.predicted)
        self._kept.inc(outcome.kept)
        for stage in outcome.stages:
            made = stage.tokens + stage.judging_tokens
            if made:
                self._tokens.labels(stage.tier).inc(made)
                self._cost.labels(stage.tier).inc(self._prices.of(stage.tier, made))
            if stage.confidence is not None:
                self._confidence.labels(stage.tier).observe(stage.confidence)

    def audited(self, agreed: bool) -> None:
        self._audits.labels("yes" if agreed else "no").inc()
