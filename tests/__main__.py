"""`python -m tests`: the whole suite, in two lanes of pytest side by side.

One lane is of the tests that need the engine environment, which wait for engines to load and to
compute, and then of some that wait for devices; the other is of all the rest. With arguments there
is a single run, and pytest gets them as they are.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import IO

import pytest

from deploy.local.processes import die_with_parent

SLOWEST = "--durations=10"
SECOND_LANE = (
    "tests/charts",
    "tests/integration/agents",
    "tests/integration/devices",
    "tests/integration/local",
    "tests/integration/routing",
    "tests/integration/shutdown",
)
"""What makes both lanes about as long: with the engines gone, what starts devices at a low priority
has a core for them."""
OTHERS = (SLOWEST, "-m", "not engine", *(f"--ignore={folder}" for folder in SECOND_LANE))
ENGINES = (SLOWEST, "-m", "engine", "--override-ini", "cache_dir=.pytest_cache/engines")
AFTER_ENGINES = (
    *(SLOWEST, "-m", "not engine", "--override-ini", "cache_dir=.pytest_cache/after_engines"),
    *SECOND_LANE,
)
"""Each run keeps its own list of what failed last."""


def start(arguments: Sequence[str], output: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
    # Tests start some hundred processes: without bytecode each would compile our sources anew.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", *arguments],
        env=environment,
        stdout=output,
        stderr=subprocess.STDOUT if output else None,
        preexec_fn=partial(die_with_parent, signal.SIGTERM),
    )


def ended(run: subprocess.Popen[bytes]) -> int:
    """Its exit code. An interrupt is for the run: it stops what it started, and says so."""
    while True:
        try:
            return run.wait()
        except KeyboardInterrupt:
            continue


def second_lane(engines: subprocess.Popen[bytes], output: IO[bytes]) -> list[int]:
    """The exit codes of its runs; who interrupts the first wants no second."""
    codes = [ended(engines)]
    if codes[0] != pytest.ExitCode.INTERRUPTED:
        codes.append(ended(start(AFTER_ENGINES, output)))
    return codes


def side_by_side() -> int:
    """Shows one lane as it goes and the other when both have ended. The worst exit code of all."""
    with tempfile.TemporaryFile() as output, ThreadPoolExecutor(1) as thread:
        second = thread.submit(second_lane, start(ENGINES, output), output)
        codes = [ended(start(OTHERS)), *second.result()]
        output.seek(0)
        sys.stdout.buffer.write(output.read())
        sys.stdout.flush()
    return max(codes)


if __name__ == "__main__":
    sys.exit(ended(start(sys.argv[1:])) if sys.argv[1:] else side_by_side())
