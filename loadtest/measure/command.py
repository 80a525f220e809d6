"""What every command of the load tests does: signals, progress, failures, the exit code."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from types import FrameType


class BenchmarkFailure(Exception):
    """A measurement that can't go on; one line for the user.

    `exit_code` is 2 where something is missing or set wrongly, and 1 where something broke.
    """

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Progress:
    """A command's progress on standard error: `name: [elapsed] step`, as steps begin.

    Standard output holds the results alone.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._start = time.monotonic()

    def __call__(self, step: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self._start), 60)
        print(f"{self._name}: [{minutes}:{seconds:02d}] {step}", file=sys.stderr, flush=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    # The event loops that measurements run on unwind cleanly for this signal alone.
    signal.raise_signal(signal.SIGINT)


def run_command(name: str, work: Callable[[Progress], int]) -> int:
    """Run the command, which gives its exit code; report a failure or an interruption in one line.

    SIGTERM is handled like Ctrl-C.
    """
    # Shells start background jobs with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return work(Progress(name))
    except BenchmarkFailure as failure:
        print(f"{name}: {failure}", file=sys.stderr)
        return failure.exit_code
    except KeyboardInterrupt:
        print(f"{name}: stopped", file=sys.stderr)
        return 130
