"""python -m loadtest.poison"""

from __future__ import annotations

import sys

from loadtest.measure.benchmark import run_benchmark
from loadtest.poison.benchmark import PoisonRun
from loadtest.poison.plan import FULL, QUICK


def main() -> int:
    return run_benchmark(PoisonRun, "bench-poison", full=FULL, quick=QUICK)


if __name__ == "__main__":
    sys.exit(main())
