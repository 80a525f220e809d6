"""python -m loadtest.collective"""

from __future__ import annotations

import sys

from loadtest.collective.benchmark import CollectiveBenchmark
from loadtest.collective.plan import FULL, QUICK
from loadtest.measure.benchmark import run_benchmark

if __name__ == "__main__":
    sys.exit(run_benchmark(CollectiveBenchmark, "bench-collective", full=FULL, quick=QUICK))
