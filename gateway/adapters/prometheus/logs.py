"""Logs: how many lines were lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector


class LogMetrics(Collector):
    """The lines that the gateway's log has lost, and the outcomes that the file of cascades'
    outcomes has: `dropped` and `outcomes_dropped` give their numbers."""

    def __init__(self, dropped: Callable[[], int], outcomes_dropped: Callable[[], int]) -> None:
        self._dropped = dropped
        self._outcomes_dropped = outcomes_dropped

    def collect(self) -> Iterable[Metric]:
        yield CounterMetricFamily(
            "tierflow_log_lines_dropped",
            "Lines of the log that were lost, because the disk was full or nobody read them.",
            value=self._dropped(),
        )
        yield CounterMetricFamily(
            "tierflow_cascade_outcomes_dropped",
            "Outcomes that were not written to `cascade.outcome_log`.",
            value=self._outcomes_dropped(),
        )
