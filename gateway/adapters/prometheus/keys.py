"""Callers' keys, by their names: what they use, and what they are refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.core.outcome import Outcome

MAX_NAMES = 100
NO_KEY, OTHER = "none", "other"


class _Used:
    """What the requests of one label have used."""

    __slots__ = ("requests", "tokens")

    def __init__(self) -> None:
        self.requests = self.tokens = 0


class KeyMetrics(Collector):
    """The `AccessTelemetry` port, and the place where keys' requests are counted. The first
    MAX_NAMES names have labels of their own, all further ones share one."""

    def __init__(self, registry: CollectorRegistry) -> None:
        # Plain numbers until somebody looks: each request of a key counts twice.
        self._used: dict[str, _Used] = {}
        self._names: set[str] = set()
        registry.register(self)
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
        used = self._used.get(request.caller.key) or self._use(self._label(request.caller.key))
        if not request.parent:
            used.requests += 1
        if outcome.opened is not None:
            used.tokens += outcome.used_tokens

    def collect(self) -> Iterable[Metric]:
        requests = CounterMetricFamily(
            "tierflow_key_requests",
            "Callers' requests that ended, by the name of the key. key: other beyond 100 names.",
            labels=["key"],
        )
        tokens = CounterMetricFamily(
            "tierflow_key_tokens",
            "Tokens of prompts and answers that a key has used at engines, those for cascades and "
            "collectives too; as its quotas count them.",
            labels=["key"],
        )
        for label, used in self._used.items():
            requests.add_metric([label], used.requests)
            tokens.add_metric([label], used.tokens)
        return requests, tokens

    def _use(self, label: str) -> _Used:
        return self._used.setdefault(label, _Used())

    def _label(self, name: str) -> str:
        if not name:
            return NO_KEY
        if name not in self._names:
            if len(self._names) >= MAX_NAMES:
                return OTHER
            self._names.add(name)
        return name


class KeyEnds(Collector):
    """When keys end. `remaining` gives seconds by their names; the MAX_NAMES that end first are
    shown."""

    def __init__(self, remaining: Callable[[], Mapping[str, float]]) -> None:
        self._remaining = remaining

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily(
            "tierflow_key_expires_seconds",
            "Seconds until the key of this name ends, where it has an end; below zero once it has. "
            "Of more than 100 those that end first.",
            labels=["key"],
        )
        ends = sorted(self._remaining().items(), key=lambda each: each[1])
        for name, seconds in ends[:MAX_NAMES]:
            family.add_metric([name], seconds)
        return [family]
