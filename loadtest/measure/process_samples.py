"""Memory and file descriptors of processes over time, and what they grow by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic

import psutil

from loadtest.measure.processes import Process

MIB = 2.0**20


@dataclass(frozen=True, slots=True)
class ProcessSample:
    """A look at a process: when (seconds, monotonic), resident MiB, open file descriptors."""

    at: float
    rss_mb: float
    descriptors: int


@dataclass(slots=True)
class ProcessSeries:
    """The samples of one process, in order. A process that is gone gives none."""

    name: str
    pid: int
    samples: list[ProcessSample] = field(default_factory=list)

    def look(self) -> None:
        try:
            process = psutil.Process(self.pid)
            rss = process.memory_info().rss / MIB
            if rss:  # One that was killed has none until its parent has waited for it.
                self.samples.append(ProcessSample(monotonic(), rss, process.num_fds()))
        except psutil.Error:
            return

    def since(self, start: float) -> list[ProcessSample]:
        return [sample for sample in self.samples if sample.at >= start]

    def growth_mb(self, warm_s: float) -> float:
        """MiB between the first sample after `warm_s` seconds and the last; 0 without two."""
        if not self.samples:
            return 0.0
        warm = self.since(self.samples[0].at + warm_s)
        return warm[-1].rss_mb - warm[0].rss_mb if warm else 0.0


class ProcessWatch:
    """The series of the processes that have run so far; each is known by its pid."""

    def __init__(self) -> None:
        self.series: dict[int, ProcessSeries] = {}

    def look(self, processes: Sequence[Process]) -> None:
        """A sample of each of these."""
        for process in processes:
            series = self.series.get(process.pid)
            if series is None:
                series = self.series[process.pid] = ProcessSeries(process.name, process.pid)
            series.look()
