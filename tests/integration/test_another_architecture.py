"""A family of Qwen3 models, tiny and with random weights, behind gateway, cascade, speculation and
collective: real vLLM, and a device whose model was exported to ONNX."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from services.model_family.export.onnx_graph import convert_folder
from tests.engines import Engines, tiny_models
from tests.integration.agent import digest, start_agent
from tests.integration.device import TOKEN
from tests.integration.renaming_proxy import renamed
from tests.reference_verifier.client import SECRET
from tests.servers import Server, eventually, start_gateway

pytestmark = [pytest.mark.integration, pytest.mark.engine("qwen3")]
EDGE = "tiny-qwen3-small"
MESSAGES = [{"role": "user", "content": "Add 417 and 325, the quick brown fox."}]
ASKED: dict[str, Any] = {
    "messages": MESSAGES,
    "max_tokens": 40,
    "temperature": 0,
    "ignore_eos": True,
    "return_token_ids": True,
}
http = httpx.Client(trust_env=False, timeout=120)


@pytest.fixture(scope="module")
def engine(engines: Engines) -> Server:
    return engines.get("qwen3").server


@pytest.fixture(scope="module")
def gateway(
    engines: Engines, engine: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """The engine is the cloud's, and under another name the edge's."""
    drafts = {"mailboxes": [f"127.0.0.1:{engines.get('qwen3').mailbox}"], "mailbox_secret": SECRET}
    with ExitStack() as stack:
        edge = stack.enter_context(renamed(engine.url, engine.name, EDGE))
        config = {
            "family": [EDGE, engine.name],
            "pools": {
                "edge": {"tier": "edge", "endpoints": [edge]},
                "cloud": {"tier": "cloud", "endpoints": [engine.url], **drafts},
            },
            "devices": {"tokens": {"phone": digest(TOKEN)}},
            "scrape": {"interval_s": 0.2},
        }
        server = start_gateway(config, tmp_path_factory.mktemp("qwen3"))
        stack.callback(server.stop)

        def ready() -> bool:
            found = http.get(server.url + "/ready").json()
            well = all(pool["ready"] for pool in found["pools"].values())
            return well and not found["conditions"]

        eventually(ready, "both pools are ready, and the mailbox is connected")
        yield server


@pytest.fixture(scope="module")
def agent(gateway: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Its model has the engine's weights: what it drafts is right."""
    model = tiny_models() / "qwen3/tiny-qwen3-device"
    convert_folder(model)
    folder = tmp_path_factory.mktemp("agent")
    started = start_agent(gateway.url, folder, "--model", str(model))
    eventually(lambda: len(ready_of(started)["tiers"]) == 2, "the agent sees both tiers")
    eventually(lambda: ready_of(started)["member"]["registered"], "it is a member")
    yield started
    started.stop()


def ready_of(agent: Server) -> Any:
    return http.get(agent.url + "/ready").json()


@pytest.fixture(scope="module")
def own(engine: Server) -> list[int]:
    """The engine's own answer."""
    return ids_of(ask(engine, engine.name))


def ask(server: Server, model: str, **fields: Any) -> Any:
    url = server.url + "/v1/chat/completions"
    answer = http.post(url, json={**ASKED, "model": model, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids_of(answer: Any) -> list[int]:
    ids: list[int] = answer["choices"][0]["token_ids"]
    return ids


def test_a_chat_through_the_gateway_is_the_engines_whole_and_streamed(
    gateway: Server, engine: Server, own: list[int]
) -> None:
    assert ids_of(ask(gateway, "tierflow-edge")) == own
    body = {**ASKED, "model": engine.name, "stream": True}
    ids: list[int] = []
    with http.stream("POST", gateway.url + "/v1/chat/completions", json=body) as response:
        for line in response.iter_lines():
            if line.startswith("data: {"):
                for choice in json.loads(line[6:])["choices"]:
                    ids += choice.get("token_ids") or []
    assert ids == own


def test_an_escalated_answer_verifies_the_small_ones_prediction(
    gateway: Server, own: list[int]
) -> None:
    answer = ask(gateway, "tierflow-cascade", tierflow={"cascade": {"threshold": 2}})
    about = answer["tierflow"]["cascade"]
    assert ids_of(answer) == own
    assert about["escalated"] and about["prediction"] == "verified"
    assert about["kept_tokens"] == about["predicted_tokens"] == len(own)


def test_a_devices_drafts_are_verified_and_the_answer_is_the_engines_own(
    agent: Server, own: list[int]
) -> None:
    alone = ask(agent, "tierflow-on-device")
    assert ids_of(alone) == own, "the exported graph says what vLLM says"
    accepted = 0
    for _ in range(3):
        answer = ask(agent, "tierflow-device-cloud")
        assert ids_of(answer) == own
        accepted += answer["tierflow"]["accepted_tokens"]
    assert accepted > 0


def test_a_device_with_such_a_model_is_asked_as_a_member(gateway: Server, agent: Server) -> None:
    answer = ask(gateway, "tierflow-collective", return_token_ids=False)
    (member,) = answer["tierflow"]["collective"]["members"]
    assert (member["device"], member["outcome"]) == ("phone", "answered")
    assert answer["choices"][0]["message"]["content"]
