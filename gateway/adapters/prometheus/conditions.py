"""The conditions that `GET /ready` names, for alerts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class ConditionMetrics(Collector):
    """The degraded modes as they are now. `conditions` gives them by name."""

    def __init__(self, conditions: Callable[[], Mapping[str, str]]) -> None:
        self._conditions = conditions

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily(
            "tierflow_condition",
            "1 while /ready names the condition, which docs/errors.md lists; absent otherwise.",
            labels=["condition"],
        )
        for name in self._conditions():
            family.add_metric([name], 1.0)
        return [family]
