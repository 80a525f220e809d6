"""python -m loadtest.speculation.ideal"""

from __future__ import annotations

import sys

from loadtest.measure.benchmark import run_benchmark
from loadtest.speculation.ideal.benchmark import FULL, QUICK, IdealBenchmark

if __name__ == "__main__":
    sys.exit(run_benchmark(IdealBenchmark, "bench-tiers", full=FULL, quick=QUICK))
