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

OF_REQUESTS = (
    *("read", "advance", "forget", "enter", "leave", "spend"),
    *("observe", "means", "claim", "complete"),
)
"""Operations that a gateway without devices does for requests alone."""


@dataclass
class GatewayOnRedis:
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

    def kept(self) -> list[str]:
        """Keys, but for those of the looks that each gateway makes, and of its own lease."""
        with self.redis.client() as client:
            return [k for k in client.scan_iter("*") if ":{look-" not in k and "{replica}" not in k]


@pytest.fixture
def on_redis(tmp_path: Path) -> Iterator[GatewayOnRedis]:
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
        yield GatewayOnRedis(gateway, redis)


def test_plain_requests_leave_nothing_in_redis(on_redis: GatewayOnRedis) -> None:
    assert on_redis.problem == ""
    for _ in range(5):
        on_redis.ask()
    assert on_redis.kept() == []
    for operation in OF_REQUESTS:
        done = on_redis.gateway.metric("tierflow_state_operations_total", operation=operation)
        assert done == 0, operation


def test_a_loss_is_told_once_and_answers_go_on(on_redis: GatewayOnRedis) -> None:
    on_redis.redis.kill()
    eventually(lambda: "goes on with its own" in on_redis.problem, "/ready tells the loss")
    assert on_redis.gateway.metric("tierflow_state_up") == 0
    on_redis.ask()
    on_redis.redis.start()
    eventually(lambda: not on_redis.problem, "/ready tells the return")
    assert on_redis.gateway.metric("tierflow_state_up") == 1
    log = on_redis.gateway.output()
    assert log.count('"state_lost"') == 1 and log.count('"state_back"') == 1


def test_a_frozen_redis_holds_up_neither_start_nor_stop(
    on_redis: GatewayOnRedis, tmp_path: Path
) -> None:
    on_redis.redis.freeze()
    eventually(lambda: on_redis.problem, "/ready tells the loss")
    config = {
        "pools": {"edge": {"tier": "edge", "endpoints": ["http://127.0.0.1:1"]}},
        "state": {"redis": {"url": on_redis.redis.url}, "when_lost": "closed"},
    }
    another = start_gateway(config, tmp_path, ready=False)
    conditions = httpx.get(another.url + "/ready", trust_env=False).json()["conditions"]
    assert "is refused until it is back" in conditions["state-lost"]
    another.stop()
    assert another.process.returncode is not None
    on_redis.redis.thaw()
