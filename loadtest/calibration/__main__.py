"""python -m loadtest.calibration"""

from __future__ import annotations

import sys

from loadtest.calibration.arguments import read
from loadtest.calibration.commands import run
from loadtest.measure.failure import BenchmarkFailure
from loadtest.measure.progress import Progress

NAME = "calibration"


def main() -> int:
    try:
        line = run(read(sys.argv[1:]), Progress(NAME))
    except BenchmarkFailure as failure:
        print(f"{NAME}: {failure}", file=sys.stderr)
        return failure.exit_code
    except KeyboardInterrupt:
        print(f"{NAME}: stopped", file=sys.stderr)
        return 130
    print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
