"""A client that leaves frees the engine's slots: in the middle of a stream, before its first
token, and while it waits in the engine's queue."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.deployment import MAX_RUNNING, Deployment
from tests.servers import Server, eventually

pytestmark = pytest.mark.integration
LONG: dict[str, Any] = {
    "model": "rill-cloud",
    "prompt": "Once upon a time",
    "n": MAX_RUNNING,
    "max_tokens": 900,
    "temperature": 1,
    "seed": 3,
    "ignore_eos": True,
}


@pytest.fixture
def engine(deployment: Deployment) -> Iterator[Server]:
    """The cloud engine, idle before and after."""
    server = deployment.cloud
    eventually(lambda: busy(server) == (0, 0), "the engine is idle")
    yield server
    eventually(lambda: busy(server) == (0, 0), "the engine is idle again")


def busy(engine: Server) -> tuple[float, float]:
    """(running, waiting) as the engine counts them."""
    running = engine.metric("vllm:num_requests_running")
    return running, engine.metric("vllm:num_requests_waiting")


def generated(engine: Server) -> float:
    return engine.metric("vllm:generation_tokens_total")


def test_in_the_middle_of_a_stream(deployment: Deployment, engine: Server) -> None:
    before = generated(engine)
    url = deployment.gateway.url + "/v1/completions"
    with httpx.stream("POST", url, json={**LONG, "stream": True}, timeout=60) as answer:
        lines = answer.iter_lines()
        while not next(lines).startswith("data: "):
            pass
        eventually(lambda: busy(engine)[0] == MAX_RUNNING, "all choices run")
    eventually(lambda: busy(engine) == (0, 0), "the engine gave the work up")
    assert generated(engine) - before < 0.9 * LONG["n"] * LONG["max_tokens"]


def test_before_the_first_byte(deployment: Deployment, engine: Server) -> None:
    """An answer that is not streamed has no first byte until its end."""
    before = generated(engine)
    with leaving(deployment, LONG):
        eventually(lambda: busy(engine)[0] == MAX_RUNNING, "all choices run")
    eventually(lambda: busy(engine) == (0, 0), "the engine gave the work up")
    assert generated(engine) - before < 0.9 * LONG["n"] * LONG["max_tokens"]


def test_while_waiting_for_the_first_token_of_a_stream(
    deployment: Deployment, engine: Server
) -> None:
    before = generated(engine)
    with leaving(deployment, LONG):
        eventually(lambda: busy(engine) == (MAX_RUNNING, 0), "the engine is full")
        with leaving(deployment, {**LONG, "n": 1, "stream": True}):
            eventually(lambda: busy(engine) == (MAX_RUNNING, 1), "the next one waits")
        eventually(lambda: busy(engine) == (MAX_RUNNING, 0), "the next one is forgotten")
    eventually(lambda: busy(engine) == (0, 0), "the engine gave the work up")
    assert generated(engine) - before < 0.9 * LONG["n"] * LONG["max_tokens"]


@contextmanager
def leaving(deployment: Deployment, body: dict[str, Any]) -> Iterator[None]:
    """Sends a request and reads nothing; leaving the block closes the connection."""
    content = json.dumps(body).encode()
    host, port = deployment.gateway.id.split(":")
    head = (
        f"POST /v1/completions HTTP/1.1\r\nhost: {host}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(head.encode() + content)
        yield
