"""Has the gateway's own code fit the predictor: what judges answers has one implementation."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from loadtest.bench.settings import CHECKOUT
from loadtest.measure.failure import BenchmarkFailure

FIT_S = 600.0


def fit(rows: Path, output: Path, window: int, isotonic: bool) -> dict[str, Any]:
    """The report of `python -m gateway.calibration`. Raises BenchmarkFailure."""
    command = [sys.executable, "-m", "gateway.calibration", str(rows.resolve())]
    command += ["--output", str(output.resolve()), "--window", str(window)]
    command += ["--isotonic"] if isotonic else []
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=FIT_S)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no output"]
        raise BenchmarkFailure(lines[-1], done.returncode)
    report: dict[str, Any] = json.loads(done.stdout)
    return report
