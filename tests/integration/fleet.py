"""Two edge engines and a cloud engine that fail on command, behind one impatient gateway."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.servers import Server, eventually, metric_in, start_simulator

FLAGS = ("--allow-fault-control", "--decode-tokens-per-s", "400", "--max-num-seqs", "2")
WAYS = ("edge", "cloud", "auto", "cascade", "collective", "edge-cloud")
VIRTUAL = {f"tierflow-{way}" for way in WAYS}
MODELS = {"rill-edge", "rill-cloud", *VIRTUAL}
PATIENCE = {
    "ejection": {"first_pause_s": 0.2, "longest_pause_s": 0.4, "slow_start_s": 0.0},
    "timeouts": {"connect_s": 1.0, "first_token_s": 1.0, "idle_s": 1.0, "answer_s": 2.0},
    "retries": {"ratio": 1.0},
    "limits": {"max_body_bytes": 65536},
}
"""Gateway settings: seconds until it gives up on an engine, a retry for every request, and short
pauses for those that fail."""


def engine(model: str, folder: Path, port: int = 0) -> Server:
    return start_simulator(model, folder, *FLAGS, "--max-model-len", "1024", port=port)


@dataclass
class Fleet:
    edge: list[Server]
    cloud: Server
    gateway: Server
    http: httpx.Client
    folder: Path

    @property
    def engines(self) -> list[Server]:
        return [*self.edge, self.cloud]

    def fault(self, *servers: Server, **faults: Any) -> None:
        for server in servers:
            answer = self.http.post(server.url + "/simulator/faults", json=faults)
            assert answer.status_code == 200, answer.text

    def restore(self) -> None:
        """Everything as at the start: no fault, all alive, all idle, all in rotation."""
        self.edge = [self._alive(server) for server in self.edge]
        self.cloud = self._alive(self.cloud)
        for server in self.engines:
            self.http.delete(server.url + "/simulator/faults")
        eventually(self._calm, "the fleet is well and idle")

    def _try_ejected(self, conditions: list[str]) -> None:
        """Only requests show that an endpoint that was ejected is well again."""
        if any(condition.startswith("ejected") for condition in conditions):
            for model in ("rill-edge", "rill-cloud"):
                self.ask(model)

    def stop(self) -> None:
        for server in [*self.engines, self.gateway]:
            server.stop()

    def _alive(self, server: Server) -> Server:
        if server.process.poll() is None:
            return server
        return engine(server.name, self.folder, int(server.id.rpartition(":")[2]))

    def _calm(self) -> bool:
        pools = self.ready()["pools"].values()
        conditions = [state for pool in pools for state in pool["endpoints"].values()]
        self._try_ejected(conditions)
        well = all(condition == "ok" for condition in conditions)
        listed = {card["id"] for card in self.get("/v1/models").json()["data"]}
        idle = all(server.metric("vllm:num_requests_running") == 0 for server in self.engines)
        known = metric_in(self.get("/metrics").text, "tierflow_endpoint_queue") == 0
        return well and idle and known and listed == MODELS

    def get(self, path: str) -> httpx.Response:
        return self.http.get(self.gateway.url + path)

    def ready(self) -> Any:
        return self.get("/ready").json()

    def ask(self, model: str, text: str = "hi", **fields: Any) -> httpx.Response:
        return self.http.post(
            self.gateway.url + "/v1/chat/completions", json=question(model, text, **fields)
        )


def question(model: str, text: str = "hi", **fields: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    return {"model": model, "messages": messages, "max_tokens": 8, "ignore_eos": True, **fields}


def events(stream: bytes) -> list[Any]:
    """The parsed payloads of a stream; [DONE] stays a string."""
    lines = [line[6:] for line in stream.decode().split("\n\n") if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]
