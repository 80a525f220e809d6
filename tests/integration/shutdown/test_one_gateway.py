"""A gateway that is told to stop: what it says, what it still takes, and how answers end."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.fleet import events, question
from tests.integration.shutdown.conftest import TOKENS_PER_S
from tests.servers import Server, eventually, start_gateway

pytestmark = pytest.mark.integration

NOTICE_S = 1.0
LONG = 3000
"""Tokens: a minute."""


@contextmanager
def gateway_that_stops(pools: dict[str, Any], folder: Path, **lifecycle: float) -> Iterator[Server]:
    gateway = start_gateway({"pools": pools, "lifecycle": lifecycle}, folder)
    try:
        yield gateway
    finally:
        gateway.kill()


@contextmanager
def streaming(http: httpx.Client, gateway: Server, tokens: int) -> Iterator[Iterator[bytes]]:
    """A stream of which the first events have come."""
    body = question("rill-edge", stream=True, max_tokens=tokens)
    with http.stream("POST", gateway.url + "/v1/chat/completions", json=body) as answer:
        assert answer.status_code == 200
        pieces = answer.iter_bytes()
        begun = next(pieces)
        yield chain([begun], pieces)


def ask(http: httpx.Client, gateway: Server) -> httpx.Response:
    body = question("rill-edge", max_tokens=1)
    return http.post(gateway.url + "/v1/chat/completions", json=body)


def outcomes(gateway: Server) -> list[str]:
    """As the log has them."""
    return [line["outcome"] for line in gateway.logged(event="request")]


def test_it_says_that_it_leaves_serves_on_and_lets_answers_end(
    pools: dict[str, Any], http: httpx.Client, tmp_path: Path
) -> None:
    tokens = int(2 * NOTICE_S * TOKENS_PER_S)
    with (
        gateway_that_stops(pools, tmp_path, notice_s=NOTICE_S, drain_s=60) as gateway,
        streaming(http, gateway, tokens) as pieces,
    ):
        gateway.process.send_signal(signal.SIGTERM)
        ready = not_ready(http, gateway)
        assert "takes requests" in ready.json()["conditions"]["draining"]
        during = ask(http, gateway)
        assert during.status_code == 200
        assert during.headers["connection"] == "close"
        refused = refusal(http, gateway)
        assert refused.json()["error"]["code"] == "draining"
        assert refused.headers["retry-after"] and refused.headers["connection"] == "close"
        assert http.get(gateway.url + "/health").status_code == 200
        assert "1 have not ended" in not_ready(http, gateway).json()["conditions"]["draining"]
        assert gateway.metric("tierflow_shed_requests_total", reason="draining") >= 1
        assert events(b"".join(pieces))[-1] == "[DONE]"
        assert gateway.process.wait(20) == -signal.SIGTERM
        assert {"ok", "draining"} == set(outcomes(gateway))


def not_ready(http: httpx.Client, gateway: Server) -> httpx.Response:
    """As soon as it is not."""
    return first(lambda: http.get(gateway.url + "/ready"), 503, "it is not ready")


def refusal(http: httpx.Client, gateway: Server) -> httpx.Response:
    """As soon as it takes no more requests."""
    return first(lambda: ask(http, gateway), 503, "it takes no more requests")


def first(send: Callable[[], httpx.Response], status: int, what: str) -> httpx.Response:
    found: list[httpx.Response] = []

    def look() -> bool:
        found.append(send())
        return found[-1].status_code == status

    eventually(look, what)
    return found[-1]


CHAT, COMPLETIONS, RESPONSES = "/v1/chat/completions", "/v1/completions", "/v1/responses"
WANTED = {"model": "rill-edge", "max_tokens": LONG, "ignore_eos": True}
LONG_BODIES: dict[str, dict[str, Any]] = {
    CHAT: question("rill-edge", max_tokens=LONG),
    COMPLETIONS: {"prompt": "Once", **WANTED},
    RESPONSES: {"model": "rill-edge", "input": "Once", "max_output_tokens": LONG},
}


def test_what_must_end_ends_with_one_error_in_its_protocol_and_a_true_outcome(
    pools: dict[str, Any], http: httpx.Client, tmp_path: Path
) -> None:
    with (
        gateway_that_stops(pools, tmp_path, notice_s=0, drain_s=0.2) as gateway,
        ThreadPoolExecutor() as threads,
    ):

        def post(path: str, stream: bool) -> httpx.Response:
            body = LONG_BODIES[path] | {"stream": stream}
            return http.post(gateway.url + path, json=body)

        streams = {path: threads.submit(post, path, True) for path in LONG_BODIES}
        whole = threads.submit(post, CHAT, False)
        begun = len(LONG_BODIES) + 1
        eventually(lambda: gateway.metric("tierflow_in_flight_requests") == begun, "all run")
        gateway.process.send_signal(signal.SIGTERM)
        for path in (CHAT, COMPLETIONS):
            *before, last = events(streams[path].result(20).content)
            assert last["error"]["code"] == "drained"
            assert all("choices" in event for event in before)
        last = json.loads(streams[RESPONSES].result(20).content.rpartition(b"data: ")[2])
        assert last["type"] == "response.failed"
        assert last["response"]["error"]["code"] == "drained"
        refused = whole.result(20)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "drained")
        assert gateway.process.wait(20) == -signal.SIGTERM
        assert outcomes(gateway) == ["drained"] * begun


def test_a_second_signal_ends_it_at_once_and_still_in_clean_words(
    pools: dict[str, Any], http: httpx.Client, tmp_path: Path
) -> None:
    with (
        gateway_that_stops(pools, tmp_path, notice_s=600, drain_s=600) as gateway,
        streaming(http, gateway, LONG) as pieces,
    ):
        gateway.process.send_signal(signal.SIGTERM)
        not_ready(http, gateway)
        gateway.process.send_signal(signal.SIGTERM)
        assert events(b"".join(pieces))[-1]["error"]["code"] == "drained"
        assert gateway.process.wait(20) == -signal.SIGTERM


def test_an_idle_gateway_ends_without_further_ado(pools: dict[str, Any], tmp_path: Path) -> None:
    with gateway_that_stops(pools, tmp_path) as gateway:
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(20) == -signal.SIGTERM
