"""What `docs/own-models.md` says of Qwen3 and of GPT-2, by `make up` with ids on the hub."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.hub import hub
from tests.integration.local import instance
from tests.integration.local.instance import Run, free_ports, up
from tests.servers import CHECKOUT, Server, eventually, free_port, metric_in, start
from tests.unit.services.model_family.engine_environment import tiny_models

pytestmark = pytest.mark.integration
PATIENCE_S = 1200.0
"""Two engines load at once, perhaps beside other work."""
TEXT: dict[str, Any] = {
    "prompt": "Add 417 and 325",
    "max_tokens": 40,
    "temperature": 0,
    "ignore_eos": True,
    "return_token_ids": True,
}
CHAT = {key: value for key, value in TEXT.items() if key != "prompt"} | {
    "messages": [{"role": "user", "content": "Add 417 and 325"}]
}
TOKEN = "hf_of_the_tests"
http = httpx.Client(trust_env=False, timeout=120)


@dataclass(frozen=True)
class Stack:
    """What runs, and the device's agent beside it."""

    name: str
    run: Run
    agent: Server

    @property
    def gateway(self) -> str:
        return f"http://127.0.0.1:{self.run.ports[0]}"

    def engine(self, tier: str) -> str:
        return f"http://127.0.0.1:{self.run.ports[1 if tier == 'edge' else 2]}"

    def model(self, tier: str) -> str:
        return f"{self.name}-{tier}"


@pytest.fixture(scope="module", params=["qwen3", "gpt2"])
def stack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    if not os.environ.get("TIERFLOW_MODEL_TESTS"):
        pytest.skip("`make test-models` runs it")
    name, folder = request.param, tmp_path_factory.mktemp(request.param)
    tiers = ("device", "edge", "cloud")
    repositories = {
        f"tiny/{name}-{tier}": tiny_models() / name / f"tiny-{name}-{tier}" for tier in tiers
    }
    with ExitStack() as exits:
        # The cloud's model is one that asks for an account.
        gated = {f"tiny/{name}-cloud": TOKEN}
        there = exits.enter_context(hub(repositories, gated=gated))
        environment = {
            "HF_ENDPOINT": there.url,
            "HF_HOME": str(folder / "cache"),
            "HF_TOKEN": TOKEN,
            "NO_PROXY": "*",
        }
        drafter = folder / f"{name}-drafter"
        command = [sys.executable, "-m", "services.model_family", "onnx"]
        command += ["--model", f"tiny/{name}-device", "--target", str(drafter)]
        environ = {**os.environ, **environment}
        subprocess.run(command, cwd=CHECKOUT, env=environ, check=True)
        monkeypatch = exits.enter_context(pytest.MonkeyPatch.context())
        monkeypatch.setattr(instance, "GIVE_UP_SECONDS", PATIENCE_S)
        drafts = dict(zip(("EDGE", "CLOUD"), map(str, free_ports(2)), strict=True))
        run = exits.enter_context(
            up(
                folder,
                **environment,
                **{f"TIERFLOW_{tier}_DRAFT_PORT": port for tier, port in drafts.items()},
                TIERFLOW_ENGINE="vllm",
                TIERFLOW_KV_CACHE_GIB="0.1",
                TIERFLOW_START_TIMEOUT=str(PATIENCE_S),
                TIERFLOW_EDGE_MODEL=f"tiny/{name}-edge",
                TIERFLOW_CLOUD_MODEL=f"tiny/{name}-cloud",
                TIERFLOW_DEVICES=str(drafter) if name == "qwen3" else "",
            )
        )
        run.read_until("tierflow is up: ", "tierflow: ")
        run.read_until("operator's token")
        port = free_port()
        command = [sys.executable, "-m", "services.device_agent", "--port", str(port)]
        command += ["--gateway", f"http://127.0.0.1:{run.ports[0]}", "--model", str(drafter)]
        command += ["--token-file", str(run.folder / "device.token")]
        agent = start("agent", command, folder, f"http://127.0.0.1:{port}")
        exits.callback(agent.stop)
        eventually(lambda: agent.answers("/ready") and linked(agent), "the agent is linked", 60)
        yield Stack(name, run, agent)


def linked(agent: Server) -> bool:
    return len(http.get(f"{agent.url}/ready").json()["tiers"]) == 2


def ask(url: str, path: str, model: str, **fields: Any) -> Any:
    body = (CHAT if "chat" in path else TEXT) | {"model": model, **fields}
    answer = http.post(f"{url}/v1/{path}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids_of(answer: Any) -> list[int]:
    ids: list[int] = answer["choices"][0]["token_ids"]
    return ids


def streamed(url: str, path: str, model: str) -> list[int]:
    body = (CHAT if "chat" in path else TEXT) | {"model": model, "stream": True}
    ids: list[int] = []
    with http.stream("POST", f"{url}/v1/{path}", json=body) as response:
        for line in response.iter_lines():
            if line.startswith("data: {"):
                for choice in json.loads(line[6:])["choices"]:
                    ids += choice.get("token_ids") or []
    return ids


@pytest.mark.parametrize("tier", ["edge", "cloud"])
def test_texts_are_the_engines_own_whole_and_streamed(stack: Stack, tier: str) -> None:
    own = ids_of(ask(stack.engine(tier), "completions", stack.model(tier)))
    assert ids_of(ask(stack.gateway, "completions", f"tierflow-{tier}")) == own
    assert streamed(stack.gateway, "completions", stack.model(tier)) == own


def test_a_devices_drafts_are_verified_by_both_tiers(stack: Stack) -> None:
    accepted = {"edge": 0, "cloud": 0}
    for tier in accepted:
        own = ids_of(ask(stack.engine(tier), "completions", stack.model(tier)))
        for _ in range(3):
            answer = ask(stack.agent.url, "completions", f"tierflow-device-{tier}")
            assert ids_of(answer) == own
            assert answer["tierflow"]["degraded"] is None
            accepted[tier] += answer["tierflow"]["accepted_tokens"]
    assert accepted["edge"] > 0, "its weights are the drafter's"


def test_chats_and_what_is_made_of_them_work_where_there_is_a_template(stack: Stack) -> None:
    if stack.name != "qwen3":
        pytest.skip("GPT-2 has none")
    route = "chat/completions"
    own = ids_of(ask(stack.engine("cloud"), route, stack.model("cloud")))
    assert streamed(stack.gateway, route, "tierflow-cloud") == own
    assert ids_of(ask(stack.agent.url, route, "tierflow-device-cloud")) == own
    escalated = ask(
        stack.gateway, route, "tierflow-cascade", tierflow={"cascade": {"threshold": 2}}
    )
    assert ids_of(escalated) == own
    assert escalated["tierflow"]["cascade"]["prediction"] == "verified"
    collective = ask(stack.gateway, route, "tierflow-collective", return_token_ids=False)
    members = collective["tierflow"]["collective"]["members"]
    assert "answered" in {member["outcome"] for member in members}
    assert not http.get(f"{stack.gateway}/ready").json()["conditions"]


def test_a_missing_template_is_said_everywhere_from_the_start(stack: Stack) -> None:
    if stack.name != "gpt2":
        pytest.skip("Qwen3 has one")
    assert "no chat template: the engines of gpt2-cloud, gpt2-edge have none" in stack.run.log
    assert "chat-template-missing" in http.get(f"{stack.gateway}/ready").json()["conditions"]
    page = http.get(f"{stack.gateway}/metrics").text
    assert metric_in(page, "tierflow_condition", condition="chat-template-missing") == 1
    chat = http.post(
        f"{stack.gateway}/v1/chat/completions", json={**CHAT, "model": "tierflow-auto"}
    )
    assert chat.status_code == 400 and "chat template" in chat.json()["error"]["message"]
    told = http.get(f"{stack.agent.url}/ready").json()
    assert set(told["conditions"]) == {"chat-template-missing"}
    assert told["member"]["registered"] is None


def test_the_hubs_token_stands_in_no_log_and_no_command(stack: Stack) -> None:
    commands = [
        file.read_bytes() for file in Path("/proc").glob("[0-9]*/cmdline") if file.is_file()
    ]
    assert not any(TOKEN.encode() in command for command in commands)
    logs = [*stack.run.folder.rglob("*.log"), *stack.run.folder.glob("*.yaml"), stack.agent.log]
    assert len(logs) >= 5
    assert not any(TOKEN in log.read_text(errors="replace") for log in logs)
    assert TOKEN not in stack.run.log
