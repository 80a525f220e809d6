"""python -m loadtest.rounds"""

from __future__ import annotations

import sys

from loadtest.measure.benchmark import run_benchmark
from loadtest.rounds.benchmark import RoundsBenchmark
from loadtest.rounds.plan import FULL, QUICK

if __name__ == "__main__":
    sys.exit(run_benchmark(RoundsBenchmark, "bench-rounds", full=FULL, quick=QUICK))
