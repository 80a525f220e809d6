"""A device whose model is none for chat, or of another family than the servers', says so from its
start, and answers what it can."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.hub import hub
from tests.integration.agent import MODEL, QUESTION, QUICK_AGENT, digest, start_agent
from tests.integration.device import TOKEN
from tests.servers import (
    SHIPPED_FAMILY,
    Server,
    eventually,
    free_port,
    metric_in,
    start,
    start_gateway,
    start_simulator,
)

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def silent_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped small model without its chat template."""
    folder = tmp_path_factory.mktemp("models") / "silent"
    without = shutil.ignore_patterns("chat_template.jinja", "tokenizer_config.json")
    shutil.copytree(MODEL, folder, ignore=without)
    return folder


@pytest.fixture(scope="module")
def agent(silent_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Of that model, before an edge with another tokenizer."""
    folder = tmp_path_factory.mktemp("agent")
    edge = start_simulator("rill-edge", folder)
    pools = {"edge": {"tier": "edge", "endpoints": [edge.url]}}
    devices = {"tokens": {"phone": digest(TOKEN)}}
    gateway = start_gateway({"pools": pools, "devices": devices}, folder)
    started = start_agent(gateway.url, folder, "--model", str(silent_model), program=QUICK_AGENT)
    eventually(lambda: ready(started)["tiers"], "the agent sees the tier")
    yield started
    for server in (started, gateway, edge):
        server.stop()


def ready(agent: Server) -> Any:
    return httpx.get(f"{agent.url}/ready").json()


def test_what_the_model_can_not_do_is_said_by_readiness_metrics_and_log(agent: Server) -> None:
    told = ready(agent)
    assert set(told["conditions"]) == {"chat-template-missing", "tokenizer-differs"}
    differs = told["conditions"]["tokenizer-differs"]
    assert "no tier has this device's tokenizer" in differs and "rill-edge has " in differs
    assert told["member"]["registered"] is None and "chat template" in told["member"]["reason"]
    page = httpx.get(f"{agent.url}/metrics").text
    for condition in told["conditions"]:
        assert metric_in(page, "tierflow_device_condition", condition=condition) == 1

    def logged() -> bool:
        return all(f"WARNING {name}: " in agent.output() for name in told["conditions"])

    eventually(logged, "the log says it")


def test_a_chat_is_answered_by_a_server_that_has_a_template(agent: Server) -> None:
    chat = {"messages": QUESTION, "max_tokens": 4}
    url = f"{agent.url}/v1/chat/completions"
    answer = httpx.post(url, json={**chat, "model": "tierflow-device-edge"})
    assert answer.status_code == 200 and answer.json()["model"] == "rill-edge"
    refused = httpx.post(url, json={**chat, "model": "tierflow-on-device"})
    assert refused.status_code == 400
    assert refused.json()["error"]["message"] == (
        "messages: this model has no chat template; use /v1/completions"
    )


def test_a_text_is_continued_on_the_device(agent: Server) -> None:
    text = {"model": "tierflow-on-device", "prompt": "What is 12", "ignore_eos": True}
    answer = httpx.post(f"{agent.url}/v1/completions", json=text).json()
    assert answer["usage"]["completion_tokens"] == 16


def test_a_member_alone_that_can_do_no_work_does_not_start(
    silent_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(TOKEN)
    command = [sys.executable, "-m", "services.device_agent", "--no-api", "--gateway", "http://x"]
    command += ["--model", str(silent_model), "--token-file", str(tmp_path / "token")]
    ended = start("agent", command, tmp_path, "")
    assert ended.process.wait(30) == 2
    assert f"--model {silent_model}: has no chat template" in ended.output()


def test_a_model_on_the_hub_is_fetched_and_answers_under_its_own_name(tmp_path: Path) -> None:
    repositories = {"owner/small": MODEL, "owner/other": SHIPPED_FAMILY / "rill-edge"}
    with hub(repositories) as stand_in:
        environment = {"HF_ENDPOINT": stand_in.url, "HF_HOME": str(tmp_path), "NO_PROXY": "*"}
        port = free_port()
        command = [sys.executable, "-m", "services.device_agent", "--port", str(port), "--model"]
        url = f"http://127.0.0.1:{port}"
        agent = start("agent", [*command, "owner/small"], tmp_path, url, environment)
        eventually(lambda: agent.answers("/ready"), "the agent answers", 60)
        body = {"model": "small", "messages": QUESTION, "max_tokens": 3}
        answer = httpx.post(f"{url}/v1/chat/completions", json=body).json()
        agent.stop()
        assert answer["model"] == "small" and answer["usage"]["completion_tokens"] == 3
        ended = start("agent", [*command, "owner/other"], tmp_path, "", environment)
        assert ended.process.wait(30) == 2
        assert "--model owner/other: the hub has no .onnx file of it; write one" in ended.output()
