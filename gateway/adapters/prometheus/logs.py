"""Logs: how many lines were lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector


class LogMetrics(Collector):
    """The lines that the gateway's log has lost; `dropped` gives their number."""

    def __init__(self, dropped: Callable[[], int]) -> None:
        self._dropped = dropped

    def collect(self) -> Iterable[Metric]:
        yield CounterMetricFamily(
            "tierflow_log_lines_dropped",
            "Lines of the log that were lost, because the disk was full or nobody read them.",
            value=self._dropped(),
        )
