"""When certificates end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class TlsMetrics(Collector):
    """The gateway's own certificates. `remaining` gives seconds by the setting that names one."""

    def __init__(self, remaining: Callable[[], Mapping[str, float]]) -> None:
        self._remaining = remaining

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily(
            "tierflow_certificate_expires_seconds",
            "Seconds until the certificate that the setting names ends; below zero once it has.",
            labels=["setting"],
        )
        for setting, seconds in self._remaining().items():
            family.add_metric([setting], seconds)
        return [family]
