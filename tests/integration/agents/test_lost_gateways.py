"""One of two gateways dies or stops while a device answers: the answer is whole, and verified."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

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


def answer(pair: TwoGateways, at: int, act: Callable[[], None]) -> tuple[list[int], Any]:
    """A streamed answer; once `at` tokens are there, the engine pauses for `act`."""
    ids: list[int] = []
    report: Any = {}
    acted = False
    with httpx.stream(
        "POST", pair.agent.url + "/v1/chat/completions", json=BODY, timeout=30
    ) as reply:
        for line in reply.iter_lines():
            if not line.startswith("data: {"):
                continue
            event = orjson.loads(line[6:])
            ids += event["choices"][0].get("token_ids", [])
            report = event.get("tierflow", report)
            if len(ids) >= at and not acted:
                acted = True
                pair.engine.gate.clear()
                act()
                pair.engine.gate.set()
    return ids, report


def assert_whole(pair: TwoGateways, ids: list[int], report: Any) -> None:
    assert report["degraded"] is None
    assert ids == pair.engine.to(QUESTION, TOKENS)
    assert (report["verified_tokens"], report["unverified_tokens"]) == (TOKENS, 0)


def resumed(gateway: Server) -> float:
    return gateway.metric("tierflow_resumptions_total", way="draft", cause="gateway_lost")


def test_a_killed_gateway_loses_nothing_of_an_answer_and_nothing_comes_twice(
    pair: TwoGateways,
) -> None:
    (first,) = pair.connected()
    ids, report = answer(pair, 20, first.kill)
    assert_whole(pair, ids, report)
    (survivor,) = pair.connected()
    assert resumed(survivor) == 1
    pair.restart(first)


def test_an_answer_ends_at_a_gateway_that_is_told_to_stop_and_the_next_goes_to_the_other(
    pair: TwoGateways,
) -> None:
    (first,) = pair.connected()
    (second,) = [each for each in pair.gateways if each is not first]
    before = resumed(second)

    def stop() -> None:
        first.process.send_signal(signal.SIGTERM)
        eventually(lambda: second in pair.connected(), "the device is at the other")

    ids, report = answer(pair, 20, stop)
    assert_whole(pair, ids, report)
    assert resumed(second) == before, "the answer ended where it began"
    eventually(lambda: first.process.poll() is not None, "it stops once nothing is under way")
    ids, report = answer(pair, TOKENS, lambda: None)
    assert_whole(pair, ids, report)
