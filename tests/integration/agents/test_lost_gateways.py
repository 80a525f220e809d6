"""One of two gateways dies while a device answers: the answer goes on at the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import httpx
import orjson
import pytest

from tests.integration.agent import ASKED, QUESTION, FamilyEngine, config_for, start_agent
from tests.servers import Server, eventually, start, start_gateway

pytestmark = pytest.mark.integration
TOKENS = 200
BODY = {
    **ASKED,
    "model": "tierflow-auto",
    "max_tokens": TOKENS,
    "return_token_ids": True,
    "stream": True,
}


@dataclass
class TwoGateways:
    """Two gateways before one engine, and an agent that knows both."""

    engine: FamilyEngine
    gateways: list[Server]
    agent: Server

    def connected(self) -> list[Server]:
        """Those at which the device is."""
        name = "tierflow_devices_connected"
        alive = [each for each in self.gateways if each.process.poll() is None]
        return [each for each in alive if each.answers("/ready") and each.metric(name)]

    def restart(self, gateway: Server) -> None:
        command = gateway.process.args
        assert isinstance(command, list)
        again = start("gateway", command, gateway.log.parent, gateway.url)
        gateway.process, gateway.log = again.process, again.log
        eventually(lambda: gateway.answers("/ready"), "the gateway is back", 60)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoGateways]:
    folder = tmp_path_factory.mktemp("gateways")
    with ExitStack() as stack:
        engine = FamilyEngine()
        engine.start()
        stack.callback(engine.stop)
        gateways = [start_gateway(config_for(engine), folder) for _ in range(2)]
        for gateway in gateways:
            stack.callback(gateway.stop)
        agent = start_agent(",".join(each.url for each in gateways), folder)
        stack.callback(agent.stop)
        made = TwoGateways(engine, gateways, agent)
        eventually(made.connected, "the device is connected")
        eventually(lambda: httpx.get(agent.url + "/ready").json()["tiers"], "the agent sees a tier")
        yield made


def answer_while_killed(pair: TwoGateways, at: int) -> tuple[list[int], dict[str, object]]:
    """A streamed answer; once `at` tokens are there, its gateway is killed."""
    ids: list[int] = []
    report: dict[str, object] = {}
    killed = False
    with httpx.stream(
        "POST", pair.agent.url + "/v1/chat/completions", json=BODY, timeout=30
    ) as answer:
        for line in answer.iter_lines():
            if not line.startswith("data: {"):
                continue
            event = orjson.loads(line[6:])
            ids += event["choices"][0].get("token_ids", [])
            report = event.get("tierflow", report)
            if len(ids) >= at and not killed:
                killed = True
                pair.engine.gate.clear()
                pair.connected()[0].kill()
                pair.engine.gate.set()
    return ids, report


def test_a_killed_gateway_loses_nothing_of_an_answer_and_nothing_comes_twice(
    pair: TwoGateways,
) -> None:
    truth = pair.engine.to(QUESTION, TOKENS)
    for _ in range(2):
        ids, report = answer_while_killed(pair, 20)
        assert report["degraded"] is None
        assert ids == truth
        assert (report["verified_tokens"], report["unverified_tokens"]) == (TOKENS, 0)
        (survivor,) = pair.connected()
        name = "tierflow_resumptions_total"
        assert survivor.metric(name, way="draft", cause="gateway_lost") == 1
        dead = next(each for each in pair.gateways if each is not survivor)
        pair.restart(dead)
