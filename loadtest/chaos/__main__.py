"""python -m loadtest.chaos [--engine vllm]"""

from __future__ import annotations

import argparse
import sys

from loadtest.chaos.benchmark import SimulatedChaos, VllmChaos
from loadtest.chaos.plan import FULL, QUICK, VLLM_FULL, VLLM_QUICK
from loadtest.measure.benchmark import run_benchmark


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtest.chaos")
    parser.add_argument("--engine", choices=("simulator", "vllm"), default="simulator")
    if parser.parse_args().engine == "vllm":
        return run_benchmark(VllmChaos, "chaos", full=VLLM_FULL, quick=VLLM_QUICK)
    return run_benchmark(SimulatedChaos, "chaos", full=FULL, quick=QUICK)


if __name__ == "__main__":
    sys.exit(main())
