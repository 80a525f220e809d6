"""What is seen of the gateway's replicas during a run: memory, and answers that went on."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Sequence

from loadtest.measure.process_samples import ProcessWatch
from loadtest.measure.processes import Process

RESUMPTIONS, RESUMED = "tierflow_resumptions_total", 'outcome="resumed"'
"""The replicas' counter of answers whose engine broke, and of those that went on elsewhere."""
TIMEOUT_S = 1.0


class GatewayWatch:
    """The replicas' processes over time, and their counters as they were seen last."""

    def __init__(self) -> None:
        self.processes = ProcessWatch()
        self._continued: dict[int, float] = {}

    @property
    def continued(self) -> int:
        """Answers that went on at another engine, over all processes that have run."""
        return round(sum(self._continued.values()))

    def look(self, gateways: Sequence[Process]) -> None:
        """A replica that does not answer keeps what was seen before."""
        self.processes.look(gateways)
        for gateway in gateways:
            try:
                with urllib.request.urlopen(f"{gateway.url}/metrics", timeout=TIMEOUT_S) as reply:
                    page = reply.read().decode()
            except (urllib.error.URLError, OSError):
                continue
            self._continued[gateway.pid] = counter(page, RESUMPTIONS, RESUMED)


def counter(page: str, name: str, labels: str = "") -> float:
    """The sum of a counter's samples on a page of metrics that carry these labels."""
    lines = (line for line in page.splitlines() if line.startswith((f"{name}{{", f"{name} ")))
    return sum(float(line.rpartition(" ")[2]) for line in lines if labels in line)
