"""The frame of a benchmark: the checks before it, its result files, and the line it ends with."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

from loadtest.measure.command import Progress, run_command
from loadtest.measure.machine import check_cores, check_memory, describe_machine, engine_versions
from loadtest.measure.processes import Cores, Processes
from loadtest.measure.results import Table, final_line, write
from loadtest.measure.settings import Settings, read_settings

P = TypeVar("P")


class Benchmark(ABC, Generic[P]):
    """A run of a benchmark: its settings, the processes that it starts, and its results.

    `name` begins the names of its result files. `least_cores` are the cores that it needs, and
    `engines` counts the vLLM servers that run at the same time. `exit_code` is the command's, once
    everything has been measured.
    """

    name: str
    least_cores = 1
    engines: int
    exit_code = 0

    def __init__(self, settings: Settings[P], processes: Processes, progress: Progress) -> None:
        self.settings = settings
        self.plan = settings.plan
        self.processes = processes
        self.progress = progress
        self.cores = Cores.split(os.sched_getaffinity(0))

    @abstractmethod
    def measure(self) -> Mapping[str, float | None]:
        """Measure everything and write the results; gives the figures of the final line.

        Raises BenchmarkFailure.
        """

    def run(self, command: str) -> str:
        """Check what the benchmark needs, then measure; gives the final line, JSON.

        Raises BenchmarkFailure.
        """
        check_cores(os.sched_getaffinity(0), self.least_cores)
        check_memory(self.engines)
        self._engine = (
            engine_versions(self.settings.engine_python, command) if self.engines else "simulated"
        )
        return final_line(self.measure())

    def write(self, tables: Sequence[Table], notes: Mapping[str, Any]) -> None:
        """Write the tables with the machine's description and print them."""
        about = {**describe_machine(), "engine": self._engine, **notes}
        print(write(self.settings.results, self.name, tables, about).read_text())


def run_benchmark(kind: type[Benchmark[P]], command: str, *, full: P, quick: P) -> int:
    """Run `make COMMAND` with the chosen plan; prints the final line last, gives the exit code."""

    def work(progress: Progress) -> int:
        make = f"make {command}"
        settings = read_settings(full=full, quick=quick, command=make, engines=kind.engines > 0)
        with Processes(settings.logs) as processes:
            benchmark = kind(settings, processes, progress)
            line = benchmark.run(make)
        print(line)
        return benchmark.exit_code

    return run_command(command, work)
