"""python -m loadtest.capacity"""

from __future__ import annotations

import sys

from loadtest.capacity.benchmark import CapacityBenchmark
from loadtest.capacity.plan import FULL, QUICK
from loadtest.measure.benchmark import run_benchmark

if __name__ == "__main__":
    sys.exit(run_benchmark(CapacityBenchmark, "bench-capacity", full=FULL, quick=QUICK))
