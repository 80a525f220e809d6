"""What a reader copies out of README and docs/ works, against simulated and real engines."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.deployment import Deployment, deploy
from tests.documents import Example, examples
from tests.engines import Engines

pytestmark = pytest.mark.integration
ADDRESS = re.compile(r"http://(127\.0\.0\.1|localhost):8080")
NOT_RUN = {
    "…": "what stands for a token or an id is the reader's to fill in",
    "$": "a variable is the reader's to set",
    "simulator/faults": "the simulator's own page; tests of the simulator ask it",
    "/ready": "a step of a story in docs/reliability.md, which `make chaos` plays",
    "/v1/streams/": "the stream of the example before it",
    '"mathematics", "code"': "needs the devices of `tierflow up`",
}
"""Examples that are not run, by what stands in them, and why."""


def is_run(example: Example) -> bool:
    return not any(mark in example.text for mark in NOT_RUN)


def asked() -> list[Example]:
    """The examples that talk to a gateway."""
    return [each for each in examples() if ADDRESS.search(each.text)]


RUN = [each for each in asked() if is_run(each)]
FIRST = [each for each in RUN if each.page == "README.md"]


@pytest.fixture(scope="module")
def simulated(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with ExitStack() as stack:
        yield deploy("simulator", engines, tmp_path_factory.mktemp("examples"), stack)


def output(example: Example, gateway: str, folder: Path) -> str:
    """What it prints, asked of this gateway."""
    text = ADDRESS.sub(gateway, example.text)
    if example.in_python:
        command = [sys.executable, "-c", text]
    else:
        command = ["bash", "-c", text.replace("curl", "curl -sS --fail-with-body", 1)]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "no_proxy": "*"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_examples_that_ask_are_found() -> None:
    assert len(RUN) >= 7 and len(FIRST) == 2


@pytest.mark.parametrize("example", RUN, ids=str)
def test_an_example_works(example: Example, simulated: Deployment, tmp_path: Path) -> None:
    shown = output(example, simulated.gateway.url, tmp_path)
    assert shown.strip() and '"error"' not in shown


@pytest.mark.engine("edge", "cloud")
def test_the_readmes_questions_are_answered_right(
    engines: Engines, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with ExitStack() as stack:
        real = deploy("vllm", engines, tmp_path_factory.mktemp("real"), stack)
        curl, python = (output(each, real.gateway.url, tmp_path) for each in FIRST)
    assert json.loads(curl)["choices"][0]["message"]["content"].endswith("742")
    assert python.strip().endswith("9")
