"""Rounds of drafts at engines without a mailbox: their metrics, and a log line where there are
none."""

from __future__ import annotations

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram

log = structlog.get_logger("tierflow.rounds")

SECONDS_BUCKETS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.5, 1.0, 3.0)
OF_THE_ENGINE = frozenset({"refused", "unreadable"})


class RoundMetrics:
    """The `RoundTelemetry` port. The first answer of a pool that is served without rounds is
    logged, once for each reason."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._rounds = Histogram(
            "tierflow_draft_round_seconds",
            "Time of one round: drafts that were checked by one request with several prompts.",
            ("pool",),
            buckets=SECONDS_BUCKETS,
            registry=registry,
        )
        self._tokens = Counter(
            "tierflow_draft_rounds_tokens",
            "Draft tokens in rounds. result: accepted or refused (it or one before it was wrong).",
            ("pool", "result"),
            registry=registry,
        )
        self._plain = Counter(
            "tierflow_draft_rounds_plain",
            "Answers with no rounds for their drafts, where the pool has `draft_rounds`. reason: "
            "sampled (temperature is not 0), stop_texts, fields (others than rounds can heed), "
            "unbounded (no max_tokens), slower (the stream was expected to be faster), refused (by "
            "the engine) or unreadable (its answer had no token ids).",
            ("pool", "reason"),
            registry=registry,
        )
        self._logged: set[tuple[str, str]] = set()
        self._failing: dict[str, str] = {}

    def round(self, pool: str, drafted: int, accepted: int, seconds: float) -> None:
        self._rounds.labels(pool).observe(seconds)
        self._tokens.labels(pool, "accepted").inc(accepted)
        self._tokens.labels(pool, "refused").inc(drafted - accepted)
        self._failing.pop(pool, None)

    def plain(self, pool: str, reason: str) -> None:
        self._plain.labels(pool, reason).inc()
        if reason in OF_THE_ENGINE:
            self._failing[pool] = reason
        if (pool, reason) not in self._logged:
            self._logged.add((pool, reason))
            write = log.warning if reason in OF_THE_ENGINE else log.info
            write("answer_without_rounds", pool=pool, reason=reason)

    def conditions(self) -> dict[str, str]:
        """What is degraded, by name, in words for the operator."""
        if not self._failing:
            return {}
        pools = ", ".join(f"{pool} ({reason})" for pool, reason in sorted(self._failing.items()))
        return {
            "draft-rounds-failing": f"the last round of drafts failed at {pools}; answers go on "
            "without. Where it stays so, set the pool's `draft_rounds` to `never`"
        }
