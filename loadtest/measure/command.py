"""What every benchmark's command line does: signals, progress, the exit code, the last line."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from types import FrameType

from loadtest.measure.failure import BenchmarkFailure
from loadtest.measure.progress import Progress


def _interrupt(number: int, frame: FrameType | None) -> None:
    # The event loops that measurements run on unwind cleanly for this signal alone.
    signal.raise_signal(signal.SIGINT)


def run_benchmark(name: str, bench: Callable[[Progress], str]) -> int:
    """Prints the line that `bench` gives, last. Gives the exit code."""
    # Shells start background jobs with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        line = bench(Progress(name))
    except BenchmarkFailure as failure:
        print(f"{name}: {failure}", file=sys.stderr)
        return failure.exit_code
    except KeyboardInterrupt:
        print(f"{name}: stopped", file=sys.stderr)
        return 130
    print(line)
    return 0
