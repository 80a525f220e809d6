"""The gateway with a real Redis: plain requests pass it by, and its loss is told and mended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.redis_server import RedisServer, needs_redis, redis_server
from tests.servers import Server, eventually, start_gateway, start_simulator

pytestmark = [pytest.mark.integration, pytest.mark.redis, needs_redis]
CHAT = {"model": "rill-edge", "messages": [{"role": "user", "content": "x"}]}


@dataclass
class Scene:
    gateway: Server
    redis: RedisServer

    def ready(self) -> dict[str, Any]:
        answer = httpx.get(self.gateway.url + "/ready", trust_env=False)
        assert answer.status_code == 200, "answers go on without Redis"
        found: dict[str, Any] = answer.json()
        return found

    @property
    def problem(self) -> str:
        return str(self.ready()["conditions"].get("state-lost", ""))

    def ask(self) -> None:
        url = self.gateway.url + "/v1/chat/completions"
        assert httpx.post(url, json=CHAT, trust_env=False).status_code == 200

    def calls(self) -> int:
        """But for the looks that each gateway makes, and the lease by which it shows that it
        lives."""
        with self.redis.client() as client:
            keys = list(client.scan_iter("*"))
            stats = client.info("commandstats")
        assert [key for key in keys if ":{look-" not in key and ":{replica}:" not in key] == []
        counted = {
            operation: self.gateway.metric("tierflow_state_operations_total", operation=operation)
            for operation in ("read", "advance", "spend", "observe", "means", "claim", "complete")
        }
        return int(sum(counted.values()) + stats.get("cmdstat_publish", {"calls": 0})["calls"])


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with ExitStack() as stack:
        redis = stack.enter_context(redis_server(tmp_path))
        engine = start_simulator("rill-edge", tmp_path)
        stack.callback(engine.stop)
        config = {
            "pools": {"edge": {"tier": "edge", "endpoints": [engine.url]}},
            "state": {"redis": {"url": redis.url}},
        }
        gateway = start_gateway(config, tmp_path)
        stack.callback(gateway.stop)
        yield Scene(gateway, redis)


def test_plain_requests_leave_nothing_in_redis(scene: Scene) -> None:
    assert scene.problem == ""
    for _ in range(5):
        scene.ask()
    assert scene.calls() == 0


def test_a_loss_is_told_once_and_answers_go_on(scene: Scene) -> None:
    scene.redis.kill()
    eventually(lambda: "goes on with its own" in scene.problem, "/ready tells the loss")
    assert scene.gateway.metric("tierflow_state_up") == 0
    scene.ask()
    scene.redis.start()
    eventually(lambda: not scene.problem, "/ready tells the return")
    assert scene.gateway.metric("tierflow_state_up") == 1
    log = scene.gateway.output()
    assert log.count('"state_lost"') == 1 and log.count('"state_back"') == 1


def test_a_frozen_redis_holds_up_neither_start_nor_stop(scene: Scene, tmp_path: Path) -> None:
    scene.redis.freeze()
    eventually(lambda: scene.problem, "/ready tells the loss")
    config = {
        "pools": {"edge": {"tier": "edge", "endpoints": ["http://127.0.0.1:1"]}},
        "state": {"redis": {"url": scene.redis.url}, "when_lost": "closed"},
    }
    another = start_gateway(config, tmp_path, ready=False)
    conditions = httpx.get(another.url + "/ready", trust_env=False).json()["conditions"]
    assert "is refused until it is back" in conditions["state-lost"]
    another.stop()
    assert another.process.returncode is not None
    scene.redis.thaw()
