"""python -m loadtest.calibration"""

from __future__ import annotations

import sys

from loadtest.calibration.arguments import read
from loadtest.calibration.commands import run
from loadtest.measure.command import Progress, run_command


def work(progress: Progress) -> int:
    print(run(read(sys.argv[1:]), progress))
    return 0


if __name__ == "__main__":
    sys.exit(run_command("calibration", work))
