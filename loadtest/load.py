"""python -m loadtest.load: run the locustfile headless against a gateway, print the table."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from loadtest.report import Samples, table, totals
from loadtest.workload import SettingError, Workload, read_workload

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
PROGRESS_S = 10.0
STOP_S = 30
"""Seconds in which the answers under way at the end may still finish."""


class LoadFailure(Exception):
    """One line for the user."""


def check_served(workload: Workload) -> None:
    """Raises LoadFailure when nothing listens, SettingError for a model that is not served."""
    try:
        with urllib.request.urlopen(f"{workload.url}/v1/models", timeout=5.0) as response:
            served = [card["id"] for card in json.load(response)["data"]]
    except (OSError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise LoadFailure(
            f"nothing answers at {workload.url} ({reason}): "
            "run `make up` first, or set TIERFLOW_URL"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise LoadFailure(f"{workload.url}/v1/models is no list of models") from error
    if missing := [model for model in workload.models if model not in served]:
        raise SettingError(
            f"TIERFLOW_LOAD_MODELS: {', '.join(missing)} not served; served: {', '.join(served)}"
        )


def run_locust(workload: Workload, results: Path, log: Path) -> Samples:
    """In a process of its own, since locust patches the one it runs in. Raises LoadFailure."""
    command = [
        *(sys.executable, "-m", "locust", "--headless", "--only-summary"),
        *("--locustfile", str(LOCUSTFILE), "--host", workload.url),
        *("--users", str(workload.users), "--spawn-rate", f"{workload.rate:g}"),
        *("--run-time", f"{workload.seconds:.0f}s", "--stop-timeout", str(STOP_S)),
    ]
    environment = os.environ | {"TIERFLOW_LOAD_RESULTS": str(results)}
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command,
            cwd=LOCUSTFILE.parent.parent,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as locust,
    ):
        try:
            _wait(locust, workload)
        finally:
            locust.terminate()
    if not results.exists():
        last = log.read_text(errors="replace").strip().splitlines()[-1:]
        raise LoadFailure(f"locust ended with code {locust.returncode}: {' '.join(last)}")
    return Samples.load(results)


def _wait(locust: subprocess.Popen[bytes], workload: Workload) -> None:
    start = time.monotonic()
    deadline = start + workload.seconds + STOP_S + 60
    while True:
        try:
            locust.wait(PROGRESS_S)
            return
        except subprocess.TimeoutExpired:
            now = time.monotonic()
            if now > deadline:
                raise LoadFailure("locust did not end in time") from None
            passed = f"{now - start:.0f} of {workload.seconds:.0f} s"
            print(f"load: {passed}, {workload.users} users", file=sys.stderr, flush=True)


def main() -> int:
    try:
        workload = read_workload()
        check_served(workload)
        with tempfile.TemporaryDirectory(prefix="tierflow-load-") as folder:
            samples = run_locust(workload, Path(folder) / "samples.json", Path(folder) / "log")
    except SettingError as error:
        print(f"load: {error}", file=sys.stderr)
        return 2
    except LoadFailure as error:
        print(f"load: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("load: stopped", file=sys.stderr)
        return 130
    print(table(samples))
    print(totals(samples, workload.seconds))
    return 1 if samples.failures or not samples.answers else 0


if __name__ == "__main__":
    sys.exit(main())
