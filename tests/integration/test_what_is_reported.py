"""Metrics, logs and readiness: enough to watch the gateway by, and never a word of a prompt."""

from __future__ import annotations

from functools import partial
from typing import Any

import httpx
import pytest

from tests.deployment import Deployment, gateway_ready
from tests.servers import eventually, metric_in

pytestmark = pytest.mark.integration
CANARY = "zwitscherkanarienvogel"
CHAT = "/v1/chat/completions"


def test_all_metrics_are_the_gateways_own(http: httpx.Client) -> None:
    http.post(CHAT, json={"model": "rill-edge", "messages": [{"role": "user", "content": "x"}]})
    page = http.get("/metrics").text
    names = [line.split("{")[0].split(" ")[0] for line in page.splitlines() if line[0] != "#"]
    assert {name.partition("_")[0] for name in names} == {"tierflow"}
    assert "vllm:" not in page


def test_a_streamed_answer_is_measured(http: httpx.Client) -> None:
    place = {"tier": "cloud", "model": "rill-cloud"}

    def measured() -> list[float]:
        page = http.get("/metrics").text
        return [
            metric_in(page, "tierflow_requests_total", **place, outcome="ok", reason="model"),
            metric_in(page, "tierflow_time_to_first_token_seconds_count", **place),
            metric_in(page, "tierflow_time_per_output_token_seconds_count", **place),
            metric_in(page, "tierflow_queue_seconds_count"),
            metric_in(page, "tierflow_tokens_total", **place, kind="completion"),
        ]

    before = measured()
    stream = {
        "model": "rill-cloud",
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 6,
        "ignore_eos": True,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert http.post(CHAT, json=stream).status_code == 200
    wanted = [1, 1, 1, 1, 6]

    def grown() -> list[float]:
        return [now - then for now, then in zip(measured(), before, strict=True)]

    eventually(lambda: grown() == wanted, f"growth by {wanted}")


def test_in_flight_returns_to_zero_and_endpoints_are_up(
    http: httpx.Client, deployment: Deployment
) -> None:
    eventually(
        lambda: metric_in(http.get("/metrics").text, "tierflow_in_flight_requests") == 0,
        "nothing in flight",
    )
    page = http.get("/metrics").text
    for server in deployment.engines:
        assert metric_in(page, "tierflow_endpoint_up", endpoint=server.id) == 1


def test_an_unknown_name_makes_no_new_series(http: httpx.Client) -> None:
    for number in range(5):
        body = {"model": f"made-up-{number}", "messages": [{"role": "user", "content": "Hi"}]}
        assert http.post(CHAT, json=body).status_code == 404
    assert "made-up" not in http.get("/metrics").text


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_is_one_json_line_with_its_id(
    http: httpx.Client, deployment: Deployment, stream: bool
) -> None:
    request_id = f"log-{deployment.kind}-{stream}"
    body = {
        "model": "tierflow-edge",
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 3,
        "stream": stream,
    }
    http.post(CHAT, json=body, headers={"x-request-id": request_id})
    logged = partial(deployment.gateway.logged, request_id=request_id)
    (line,) = eventually(logged, "the request is logged")
    assert line["tier"] == "edge"
    assert line["model"] == "rill-edge"
    assert line["outcome"] == "ok"
    assert line["stream"] is stream
    assert line["endpoint"] == deployment.edge.id


def test_prompts_tokens_and_answers_stay_out_of_logs_and_metrics(
    http: httpx.Client, deployment: Deployment
) -> None:
    secret = {"authorization": f"Bearer sk-{CANARY}", "x-request-id": "canary-end"}
    chat = {"messages": [{"role": "user", "content": CANARY}], "max_tokens": 2}
    bodies: list[Any] = [
        {"model": "rill-edge", **chat},
        {"model": "rill-edge", **chat, "stream": True},
        {"model": "rill-edge", **chat, "max_tokens": 10**7},
        {"model": "rill-edge", **chat, "temperature": CANARY},
        {"model": CANARY, **chat},
        {"model": [CANARY]},
    ]
    for body in bodies:
        http.post(CHAT, json=body, headers={"authorization": secret["authorization"]})
    http.post("/v1/completions", content=f'{{"{CANARY}'.encode())
    http.post(CHAT, json=bodies[0], headers=secret)
    logged = partial(deployment.gateway.logged, request_id="canary-end")
    eventually(logged, "the last request is logged")
    assert CANARY not in deployment.gateway.output()
    assert CANARY not in http.get("/metrics").text


def test_readiness_names_every_endpoint(deployment: Deployment) -> None:
    report = gateway_ready(deployment.gateway)
    assert report["ready"] is True
    for tier, server in zip(("edge", "cloud"), deployment.engines, strict=True):
        assert report["pools"][tier]["endpoints"] == {server.id: "ok"}
