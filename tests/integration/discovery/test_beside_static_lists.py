"""Tiers that no cluster tells of: a URL with a key, or a gateway in front of a pool."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.integration.discovery.cluster import Cluster
from tests.integration.fleet import events, question
from tests.servers import eventually

pytestmark = pytest.mark.integration

CHOICE = {"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}
CHUNK = {"object": "chat.completion.chunk", "choices": [CHOICE]}


class PoolGateway(BaseHTTPRequestHandler):
    """The OpenAI API under a path and a key, and nothing else: no /health, no /metrics."""

    protocol_version = "HTTP/1.1"
    key = "Bearer k-elsewhere"

    def do_GET(self) -> None:
        if self.path != "/pool/v1/models" or self.headers["Authorization"] != self.key:
            return self._answer(404, b"{}")
        self._answer(200, json.dumps({"data": [{"id": "far-model"}]}).encode())

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != "/pool/v1/chat/completions" or self.headers["Authorization"] != self.key:
            return self._answer(404, b"{}")
        body = b"data: " + json.dumps(CHUNK).encode() + b"\n\ndata: [DONE]\n\n"
        self._answer(200, body, "text/event-stream")

    def _answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def elsewhere() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), PoolGateway)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/pool"
    server.shutdown()
    server.server_close()
    thread.join(10)


@pytest.mark.parametrize(
    "how", [{"probe": "models"}, {"probe": "answers", "models": ["far-model"]}]
)
def test_a_pool_behind_a_gateway_of_its_own_stands_beside_what_is_found(
    cluster: Cluster, elsewhere: str, how: dict[str, object]
) -> None:
    engine = cluster.start_engine()
    cluster.lists(engine, model="rill-edge")
    cloud = {"tier": "cloud", "endpoints": [elsewhere], "api_key": "k-elsewhere", **how}
    gateway = cluster.start_gateway(pools={"elsewhere": cloud})
    cluster.until_in_rotation(engine)
    there = elsewhere.removeprefix("http://")
    eventually(lambda: cluster.in_rotation("elsewhere") == {there: "ok"}, "both pools are up")

    cards = {card["id"]: card for card in cluster.get("/v1/models").json()["data"]}
    assert cards["far-model"]["tier"] == "cloud" and cards["rill-edge"]["tier"] == "edge"
    body = question("far-model", stream=True)
    answer = cluster.http.post(gateway.url + "/v1/chat/completions", json=body)
    assert answer.headers["x-tierflow-endpoint"] == there
    assert events(answer.content)[-1] == "[DONE]"
    assert cluster.ask("tierflow-edge").headers["x-tierflow-endpoint"] == engine.id


def test_the_models_of_a_pool_that_leaves_are_listed_no_more(
    cluster: Cluster, elsewhere: str
) -> None:
    engine = cluster.start_engine()
    cluster.lists(engine)
    cloud = {"tier": "cloud", "endpoints": [elsewhere], "api_key": "k-elsewhere"}
    cluster.start_gateway(pools={"elsewhere": {**cloud, "probe": "models"}})
    cluster.until_in_rotation(engine)

    def listed() -> set[str]:
        return {card["id"] for card in cluster.get("/v1/models").json()["data"]}

    eventually(lambda: {"far-model", "rill-edge"} <= listed(), "both pools' models are listed")
    cluster.lists(unready=(engine,))
    eventually(lambda: "rill-edge" not in listed(), "the model left with its last endpoint")
    assert cluster.ask("rill-edge").json()["error"]["code"] == "no_endpoint"
    assert cluster.get("/ready").status_code == 200
