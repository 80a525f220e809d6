"""Locust patches the process that imports it: it runs in one of its own."""

import os
import subprocess
import sys

import pytest

from loadtest.measure.processes import Process, free_port
from loadtest.measure.settings import CHECKOUT

pytestmark = pytest.mark.integration


def load(**variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "loadtest.load"],
        cwd=CHECKOUT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_headless_run_prints_the_table(canned_engine: Process) -> None:
    done = load(
        TIERFLOW_URL=canned_engine.url,
        TIERFLOW_LOAD_MODELS="canned",
        TIERFLOW_LOAD_USERS="2",
        TIERFLOW_LOAD_RATE="10",
        TIERFLOW_LOAD_SECONDS="1",
        TIERFLOW_LOAD_PAUSE="0.01",
    )
    assert done.returncode == 0, done.stderr
    for metric in ("TTFT", "ITL", "TPOT", "answer", "tokens/s"):
        assert f"\n{metric} " in done.stdout
    assert " 0 failures" in done.stdout


def test_without_a_gateway_one_line_says_so() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    done = load(TIERFLOW_URL=url)
    assert done.returncode == 1
    assert done.stderr.startswith(f"load: nothing answers at {url}")
    assert done.stderr.count("\n") == 1


def test_a_model_that_is_not_served_is_named_with_those_that_are(canned_engine: Process) -> None:
    done = load(TIERFLOW_URL=canned_engine.url, TIERFLOW_LOAD_MODELS="other")
    assert done.returncode == 2
    assert done.stderr == "load: TIERFLOW_LOAD_MODELS: other not served; served: canned\n"
