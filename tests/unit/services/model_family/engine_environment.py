"""Commands of the model family, run by the engine environment's Python."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.engines import engine_python


def python(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """With one thread: several would wait for one another where tests share the cores."""
    return subprocess.run(
        [engine_python(), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return python("-m", "services.model_family", *arguments)
