"""python -m loadtest.tiers"""

from __future__ import annotations

import sys

from loadtest.measure.benchmark import run_benchmark
from loadtest.tiers.benchmark import TiersBenchmark
from loadtest.tiers.plan import FULL, QUICK

if __name__ == "__main__":
    sys.exit(run_benchmark(TiersBenchmark, "bench-tiers", full=FULL, quick=QUICK))
