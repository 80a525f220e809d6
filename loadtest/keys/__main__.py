"""python -m loadtest.keys"""

from __future__ import annotations

import sys

from loadtest.keys.benchmark import FULL, QUICK, KeysBenchmark
from loadtest.measure.benchmark import run_benchmark

if __name__ == "__main__":
    sys.exit(run_benchmark(KeysBenchmark, "bench-keys", full=FULL, quick=QUICK))
