"""A full disk behind the logs, or a pipe that nobody reads, is no caller's trouble."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.fleet import question
from tests.servers import Server, eventually, start_gateway, start_simulator

pytestmark = pytest.mark.integration

REQUESTS = 400
"""Their log lines are more than the 64 KiB that a pipe holds."""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    engine = start_simulator("rill-edge", tmp_path_factory.mktemp("engine"))
    try:
        yield {"pools": {"edge": {"tier": "edge", "endpoints": [engine.url]}}}
    finally:
        engine.stop()


def ask_many(gateway: Server) -> list[int]:
    """The statuses."""
    with httpx.Client(base_url=gateway.url, timeout=30, trust_env=False) as client:

        def ask(number: int) -> int:
            body = question("rill-edge", max_tokens=1)
            return client.post("/v1/chat/completions", json=body).status_code

        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(ask, range(REQUESTS)))


def test_callers_get_their_answers_while_the_disk_of_the_logs_is_full(
    config: dict[str, Any], tmp_path: Path
) -> None:
    gateway = start_gateway(config, tmp_path, output_to=Path("/dev/full"))
    try:
        assert ask_many(gateway) == [200] * REQUESTS
        eventually(
            lambda: gateway.metric("tierflow_log_lines_dropped_total") >= REQUESTS,
            "the lost lines are counted",
        )
        ready = httpx.get(gateway.url + "/ready", trust_env=False)
        assert ready.status_code == 200
        assert "its disk is full" in ready.json()["conditions"]["log-lines-lost"]
    finally:
        gateway.stop()
    assert gateway.process.returncode == -15


def test_callers_get_their_answers_while_nobody_reads_the_logs(
    config: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDWR)
    gateway = start_gateway(config, tmp_path, output_to=path)
    try:
        assert ask_many(gateway) == [200] * REQUESTS
        assert gateway.answers("/health")
        with os.fdopen(reader, "rb") as pipe:
            lines = [json.loads(pipe.readline()) for _ in range(REQUESTS)]
        assert all(line["event"] for line in lines), "nothing is lost while the queue has room"
    finally:
        gateway.stop()


def test_a_pipe_that_nobody_reads_does_not_hold_up_the_end(
    config: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDWR)
    try:
        gateway = start_gateway(config, tmp_path, output_to=path)
        ask_many(gateway)
        gateway.stop()
        assert gateway.process.returncode == -15
    finally:
        os.close(reader)
