"""python -m loadtest.prediction"""

from __future__ import annotations

import sys

from loadtest.measure.benchmark import run_benchmark
from loadtest.prediction.benchmark import PredictionBenchmark
from loadtest.prediction.plan import FULL, QUICK

if __name__ == "__main__":
    sys.exit(run_benchmark(PredictionBenchmark, "bench-tiers", full=FULL, quick=QUICK))
