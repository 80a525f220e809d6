"""A stack in which everything that a dashboard shows happens: two gateways, engines, a device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.integration.agent import ASKED, FamilyEngine, config_for, start_agent
from tests.integration.fleet import question
from tests.keys import secret, static_keys
from tests.servers import Server, eventually, metric_in, start_gateway, start_simulator

EDGE, DRAFTED, LARGE = "rill-edge", "rill-cloud", "rill-large"
"""Served by two simulators, by an engine that verifies drafts, by a simulator with one place."""
FLAGS = ("--allow-fault-control", "--decode-tokens-per-s", "400", "--max-model-len", "1024")
STUCK = 2
SAMPLED = {"collective": {"mode": "self-moa", "self_moa": {"model": EDGE, "samples": 3}}}
"""A collective of one model's samples."""


@dataclass
class Stack:
    """The gateways are replicas of each other; the agent is connected to the first."""

    edge: list[Server]
    large: Server
    gateways: list[Server]
    agent: Server
    engine: FamilyEngine
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60, trust_env=False))

    @property
    def servers(self) -> list[Server]:
        return [*self.edge, self.large, *self.gateways, self.agent]

    def page(self, server: Server) -> str:
        return self.http.get(server.url + "/metrics").text

    def ask(
        self,
        gateway: Server,
        model: str,
        stream: bool = False,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> httpx.Response:
        body = question(model, stream=stream) | more
        if stream:
            body["stream_options"] = {"include_usage": True}
        return self.http.post(gateway.url + "/v1/chat/completions", json=body, headers=headers)

    def traffic(self) -> None:
        """Answers, streams, failing engines, a wrong model's name, a cascade; a drafting device,
        whose engine breaks at last."""
        for gateway in self.gateways:
            for stream in (False, True):
                assert self.ask(gateway, EDGE, stream).status_code == 200
            for engine in self.edge:
                self._fault(engine, error_probability=1.0)
            assert self.ask(gateway, EDGE).status_code == 502
            for engine in self.edge:
                self.http.delete(engine.url + "/simulator/faults")
            assert self.ask(gateway, "no-such-model").status_code == 404
            assert self.ask(gateway, "tierflow-cascade").status_code == 200
            assert self.ask(gateway, "tierflow-collective", tierflow=SAMPLED).status_code == 200
            keyed = {"authorization": f"Bearer {secret('caller')}"}
            assert self.ask(gateway, EDGE, headers=keyed).status_code == 200
        drafted = self.http.post(
            self.agent.url + "/v1/chat/completions", json={"model": DRAFTED, **ASKED}
        )
        assert drafted.status_code == 200, drafted.text
        self.engine.breaks_after = 5
        alone = self.http.post(
            self.agent.url + "/v1/chat/completions", json={"model": DRAFTED, **ASKED}
        )
        self.engine.breaks_after = None
        assert alone.status_code == 200, alone.text

    def fill_the_large_engine(self, threads: ThreadPoolExecutor) -> None:
        """One request, through each gateway, that does not end: one runs, the others wait."""
        self._fault(self.large, hang_after_tokens=1)
        for gateway in self.gateways:
            threads.submit(
                httpx.post,
                gateway.url + "/v1/chat/completions",
                json=question(LARGE),
                timeout=None,
                trust_env=False,
            )
        eventually(self._full, "the large engine is full, and every gateway sees it")

    def _full(self) -> bool:
        page = self.page(self.large)
        return metric_in(page, "vllm:num_requests_waiting") == 1 and all(
            metric_in(self.page(gateway), "tierflow_endpoint_saturated", pool="large") == 1
            for gateway in self.gateways
        )

    def _fault(self, server: Server, **faults: Any) -> None:
        answer = self.http.post(server.url + "/simulator/faults", json=faults)
        assert answer.status_code == 200, answer.text


@contextmanager
def stack(folder: Path) -> Iterator[Stack]:
    """Running, with traffic behind it."""
    with ExitStack() as stack:
        threads = stack.enter_context(ThreadPoolExecutor(STUCK))
        engine = FamilyEngine()
        # Slow enough for drafts to come in time beside whatever else runs.
        engine.step_s = 0.02
        engine.start()
        stack.callback(engine.stop)
        edge = []
        for _ in range(2):
            edge.append(start_simulator(EDGE, folder, *FLAGS))
            stack.callback(edge[-1].stop)
        large = start_simulator(LARGE, folder, *FLAGS, "--max-num-seqs", "1")
        stack.callback(large.stop)
        gateways = []
        for _ in range(STUCK):
            gateways.append(start_gateway(_config(engine, edge, large), folder))
            stack.callback(gateways[-1].stop)
        agent = start_agent(gateways[0].url, folder)
        stack.callback(agent.stop)
        made = Stack(edge, large, gateways, agent, engine)
        stack.callback(made.http.close)
        # Ends the requests that it holds, so that nobody has to wait for them.
        stack.callback(large.kill)
        eventually(lambda: _complete(made), "every part sees the others")
        made.traffic()
        made.fill_the_large_engine(threads)
        yield made


def _config(engine: FamilyEngine, edge: list[Server], large: Server) -> dict[str, Any]:
    config = config_for(engine, *edge) | {
        "keys": {"required": False, "static": static_keys({"caller": {}})}
    }
    config["pools"]["large"] = {
        "tier": "cloud",
        "endpoints": [large.url],
        "saturation_queue": 1,
    }
    patience = {"first_token_s": 600.0, "idle_s": 600.0, "answer_s": 600.0}
    cascade = {"stages": [{"model": EDGE}, {"model": DRAFTED}]}
    # One failure ejects, for a moment.
    ejection = {"consecutive_failures": 1, "first_pause_s": 0.1}
    return {**config, "timeouts": patience, "cascade": cascade, "ejection": ejection}


def _complete(stack: Stack) -> bool:
    ready = [stack.http.get(gateway.url + "/ready").json() for gateway in stack.gateways]
    agent = stack.http.get(stack.agent.url + "/ready").json()
    return (
        all(pool["ready"] for report in ready for pool in report["pools"].values())
        and all("mailbox-lost" not in report["conditions"] for report in ready)
        and bool(agent["tiers"])
    )
