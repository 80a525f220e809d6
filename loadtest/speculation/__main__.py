"""python -m loadtest.speculation"""

from __future__ import annotations

import sys

from loadtest.measure.benchmark import run_benchmark
from loadtest.speculation.benchmark import SpeculationBenchmark
from loadtest.speculation.plan import FULL, QUICK

if __name__ == "__main__":
    sys.exit(run_benchmark(SpeculationBenchmark, "bench-speculation", full=FULL, quick=QUICK))
