"""python -m loadtest.bench"""

from __future__ import annotations

import signal
import sys
from types import FrameType

from loadtest.bench.run import Bench
from loadtest.bench.settings import read_settings
from loadtest.measure.failure import BenchmarkFailure
from loadtest.measure.processes import Processes
from loadtest.measure.progress import Progress


def _terminated(number: int, frame: FrameType | None) -> None:
    # Unwinds the stack, so that everything started is stopped.
    sys.exit(128 + number)


def main() -> int:
    signal.signal(signal.SIGTERM, _terminated)
    progress = Progress("bench")
    try:
        settings = read_settings()
        with Processes(settings.results / "logs") as processes:
            line = Bench(settings, processes, progress).run()
    except BenchmarkFailure as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return failure.exit_code
    except KeyboardInterrupt:
        print("bench: stopped", file=sys.stderr)
        return 130
    print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
