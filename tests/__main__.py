"""`python -m tests`: the whole suite, in two runs of pytest side by side.

One run is of the tests that need the engine environment, which wait for engines to load and to
compute; the other is of all that need none. With arguments there is a single run, and pytest gets
them as they are.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from typing import IO

from deploy.local.processes import die_with_parent

SLOWEST = "--durations=10"
OTHERS = (SLOWEST, "-m", "not engine")
ENGINES = (SLOWEST, "-m", "engine", "--override-ini", "cache_dir=.pytest_cache/engines")
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


def side_by_side() -> int:
    """Shows one run as it goes and the other when both have ended. The worse exit code of both."""
    with tempfile.TemporaryFile() as output:
        engines = start(ENGINES, output)
        codes = [ended(start(OTHERS)), ended(engines)]
        output.seek(0)
        sys.stdout.buffer.write(output.read())
        sys.stdout.flush()
    return max(codes)


if __name__ == "__main__":
    sys.exit(ended(start(sys.argv[1:])) if sys.argv[1:] else side_by_side())
