"""Callers' keys, by their names: what they use, and what they are refused."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter

from gateway.core.outcome import Outcome

MAX_NAMES = 100
NO_KEY, OTHER = "none", "other"


class KeyMetrics:
    """The `AccessTelemetry` port, and the place where keys' requests are counted. The first
    MAX_NAMES names have labels of their own, all further ones share one."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._names: dict[str, tuple[Counter, Counter]] = {}
        self._requests = Counter(
            "tierflow_key_requests_total",
            "Callers' requests that ended, by the name of the key. key: other beyond 100 names.",
            ["key"],
            registry=registry,
        )
        self._tokens = Counter(
            "tierflow_key_tokens_total",
            "Tokens of prompts and answers that a key has used at engines, those for cascades and "
            "collectives too; as its quotas count them.",
            ["key"],
            registry=registry,
        )
        self._refusals = Counter(
            "tierflow_key_refusals_total",
            "Callers who were refused. reason: the error code. key: none where no good key was "
            "shown.",
            ["key", "reason"],
            registry=registry,
        )

    def refused(self, key: str, reason: str) -> None:
        self._refusals.labels(self._label(key), reason).inc()

    def count(self, outcome: Outcome) -> None:
        """A request of a key, or one of the gateway's own for it, has ended."""
        request = outcome.request
        name = request.caller.key
        requests, tokens = self._names.get(name) or self._counters(self._label(name))
        if not request.parent:
            requests.inc()
        if outcome.opened is not None:
            tokens.inc(outcome.used_tokens)

    def _counters(self, label: str) -> tuple[Counter, Counter]:
        return self._requests.labels(label), self._tokens.labels(label)

    def _label(self, name: str) -> str:
        if not name:
            return NO_KEY
        if name not in self._names:
            if len(self._names) >= MAX_NAMES:
                return OTHER
            self._names[name] = self._counters(name)
        return name
