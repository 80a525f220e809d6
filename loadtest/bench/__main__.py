"""python -m loadtest.bench"""

from __future__ import annotations

import sys

from loadtest.bench.run import Bench
from loadtest.bench.settings import read_settings
from loadtest.measure.command import run_benchmark
from loadtest.measure.processes import Processes
from loadtest.measure.progress import Progress


def bench(progress: Progress) -> str:
    settings = read_settings()
    with Processes(settings.results / "logs") as processes:
        return Bench(settings, processes, progress).run()


if __name__ == "__main__":
    sys.exit(run_benchmark("bench", bench))
