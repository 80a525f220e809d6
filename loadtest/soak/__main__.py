"""python -m loadtest.soak [--seconds N]"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

from loadtest.measure.benchmark import run_benchmark
from loadtest.soak.benchmark import SoakRun
from loadtest.soak.plan import FULL, QUICK

LEAST_S = 20.0


def seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not LEAST_S <= value <= 7 * 86400:
        raise argparse.ArgumentTypeError(f"{text!r} must be seconds from {LEAST_S:g} to a week")
    return value


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtest.soak")
    parser.add_argument("--seconds", type=seconds, help="default: 3600, or 120 where QUICK is 1")
    chosen = parser.parse_args().seconds
    plans = [plan if chosen is None else replace(plan, seconds=chosen) for plan in (FULL, QUICK)]
    return run_benchmark(SoakRun, "soak", full=plans[0], quick=plans[1])


if __name__ == "__main__":
    sys.exit(main())
