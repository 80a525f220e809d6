"""Starts the verifiers that tests drive."""

from __future__ import annotations

import os
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from tests.reference_verifier.client import SECRET, Verifier
from tests.servers import SHIPPED_FAMILY, eventually, free_port, start, start_vllm

MODELS = {"engine": "rill-cloud", "reference": "rill-edge"}
MAX_RUNNING = 16
"""Requests that the engine runs at once: enough for all sessions that tests have at a time."""


def engine_python() -> str:
    python = os.environ.get("TIERFLOW_ENGINE_PYTHON")
    if not python:
        pytest.skip("TIERFLOW_ENGINE_PYTHON is not set; `make test` sets it")
    return python


def start_verifier(kind: str, folder: Path, stack: ExitStack) -> Verifier:
    """`engine` is vLLM with our scheduler, `reference` the textbook. Ready when it returns."""
    python, model, mailbox = engine_python(), SHIPPED_FAMILY / MODELS[kind], free_port()
    if kind == "engine":
        flags = ("--max-num-seqs", str(MAX_RUNNING))
        server = start_vllm(python, model, "0", folder, *flags, mailbox=mailbox, secret=SECRET)
    else:
        port = free_port()
        command = [python, "-m", "tests.reference_verifier", "--model", str(model)]
        command += ["--port", str(port), "--mailbox-port", str(mailbox)]
        secret = {"TIERFLOW_DRAFT_SECRET": SECRET}
        server = start("reference", command, folder, f"http://127.0.0.1:{port}", secret)
    stack.callback(server.stop)
    eventually(partial(server.answers, "/health"), f"{server.name} loads", 300, 0.2)
    return Verifier(server.url, model.name, mailbox)
