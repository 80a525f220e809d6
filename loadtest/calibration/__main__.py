"""python -m loadtest.calibration"""

from __future__ import annotations

import sys

from loadtest.calibration.arguments import read
from loadtest.calibration.commands import run
from loadtest.measure.command import run_benchmark

if __name__ == "__main__":
    sys.exit(run_benchmark("calibration", lambda progress: run(read(sys.argv[1:]), progress)))
