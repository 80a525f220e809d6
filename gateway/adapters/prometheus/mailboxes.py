"""The state of the engines' mailboxes for drafts, for Prometheus."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.adapters.engines.mailbox import Mailbox

MAX_COUNTS = 32
_COUNT_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


class MailboxMetrics(Collector):
    """The mailboxes' states, read when someone asks."""

    def __init__(self, mailboxes: Callable[[], Sequence[Mailbox]]) -> None:
        self._mailboxes = mailboxes

    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily(
            "tierflow_mailbox_connected", "1 while drafts reach the engine.", labels=["endpoint"]
        )
        counts = GaugeMetricFamily(
            "tierflow_mailbox_count",
            "The engine's own counts of its drafts since its start, listed below.",
            labels=["endpoint", "count"],
        )
        for mailbox in self._mailboxes():
            up.add_metric([mailbox.endpoint_id], float(mailbox.connected))
            for name, value in list(mailbox.counts.items())[:MAX_COUNTS]:
                if _COUNT_NAME.fullmatch(name):
                    counts.add_metric([mailbox.endpoint_id, name], float(value))
        return [up, counts]
