"""python -m loadtest.load: run the locustfile headless against a gateway, print the table."""

from __future__ import annotations

import http.client
import json
import os
import sys
import tempfile
import urllib.error
import urllib.request
from itertools import count
from pathlib import Path

from loadtest.measure.command import BenchmarkFailure, Progress, run_command
from loadtest.measure.processes import Processes, last_line
from loadtest.samples import Samples, table, totals
from loadtest.workload import Workload, read_workload

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
PROGRESS_S = 10.0
STOP_S = 30
"""Seconds in which the answers under way at the end may still finish."""


def check_served(workload: Workload) -> None:
    """Raises BenchmarkFailure when nothing listens, or for a model that is not served."""
    try:
        with urllib.request.urlopen(f"{workload.url}/v1/models", timeout=5.0) as response:
            served = [card["id"] for card in json.load(response)["data"]]
    except (OSError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise BenchmarkFailure(
            f"nothing answers at {workload.url} ({reason}): "
            "run `make up` first, or set TIERFLOW_URL"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise BenchmarkFailure(f"{workload.url}/v1/models is not a list of models") from error
    if missing := [model for model in workload.models if model not in served]:
        raise BenchmarkFailure(
            f"TIERFLOW_LOAD_MODELS: {', '.join(missing)} not served; served: {', '.join(served)}", 2
        )


def run_locust(workload: Workload, folder: Path, progress: Progress) -> Samples:
    """In a process of its own, since locust patches the one it runs in. Raises BenchmarkFailure."""
    command = [
        *(sys.executable, "-m", "locust", "--headless", "--only-summary"),
        *("--locustfile", str(LOCUSTFILE), "--host", workload.url),
        *("--users", str(workload.users), "--spawn-rate", f"{workload.rate:g}"),
        *("--run-time", f"{workload.seconds:.0f}s", "--stop-timeout", str(STOP_S)),
    ]
    results = folder / "samples.json"
    steps = count(1)

    def step() -> None:
        passed = min(next(steps) * PROGRESS_S, workload.seconds)
        progress(f"{passed:.0f} of {workload.seconds:.0f} s, {workload.users} users")

    with Processes(folder) as processes:
        locust = processes.start(
            "locust",
            command,
            cores=os.sched_getaffinity(0),
            environment={"TIERFLOW_LOAD_RESULTS": str(results)},
        )
        code = locust.wait(workload.seconds + STOP_S + 60, every_s=PROGRESS_S, step=step)
        if not results.exists():
            last = last_line(locust.log.read_text(errors="replace"))
            raise BenchmarkFailure(f"locust ended with code {code}: {last}")
    return Samples.load(results)


def load(progress: Progress) -> int:
    workload = read_workload()
    check_served(workload)
    progress(f"{workload.users} users will ask {workload.url}")
    with tempfile.TemporaryDirectory(prefix="tierflow-load-") as folder:
        samples = run_locust(workload, Path(folder), progress)
    print(table(samples))
    print(totals(samples, workload.seconds))
    return 1 if samples.failures or not samples.answers else 0


if __name__ == "__main__":
    sys.exit(run_command("load", load))
