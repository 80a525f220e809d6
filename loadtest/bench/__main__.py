"""python -m loadtest.bench"""

from __future__ import annotations

import sys

from loadtest.bench.benchmark import GatewayBenchmark
from loadtest.bench.plan import FULL, QUICK
from loadtest.measure.benchmark import run_benchmark

if __name__ == "__main__":
    sys.exit(run_benchmark(GatewayBenchmark, "bench", full=FULL, quick=QUICK))
