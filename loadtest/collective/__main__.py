"""python -m loadtest.collective"""

from __future__ import annotations

import signal
import sys
from types import FrameType

from loadtest.collective.run import Bench
from loadtest.collective.settings import read_settings
from loadtest.measure.failure import BenchmarkFailure
from loadtest.measure.processes import Processes
from loadtest.measure.progress import Progress

NAME = "bench-collective"


def _interrupt(number: int, frame: FrameType | None) -> None:
    # The event loops that measurements run on unwind cleanly for this signal alone.
    signal.raise_signal(signal.SIGINT)


def main() -> int:
    # Shells start background jobs with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _interrupt)
    progress = Progress(NAME)
    try:
        settings = read_settings()
        with Processes(settings.common.results / "logs") as processes:
            line = Bench(settings, processes, progress).run()
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
