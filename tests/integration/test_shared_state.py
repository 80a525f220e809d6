"""The gateway with a real Redis: plain requests pass it by, and its loss is told and mended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from tests.integration.device import connected
from tests.redis_server import RedisServer, needs_redis, redis_server
from tests.servers import Server, eventually, start_gateway, start_simulator

pytestmark = [pytest.mark.integration, pytest.mark.redis, pytest.mark.anyio, needs_redis]
ADMIN = "an-operators-token"
CHAT = {"model": "rill-edge", "messages": [{"role": "user", "content": "x"}], "max_tokens": 8}

OF_REQUESTS = (
    *("advance", "forget", "enter", "leave", "spend"),
    *("observe", "means", "claim", "complete"),
)
"""Operations that a gateway without devices does for requests alone. Callers' keys are read all
the time."""


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
        """Keys, but for those of the looks that each gateway makes, its mark and its own lease."""
        own = (":{look-", "{replica}", "{mark:")
        with self.redis.client() as client:
            return [k for k in client.scan_iter("*") if not any(part in k for part in own)]

    def has_mark(self) -> bool:
        with self.redis.client() as client:
            return any("{mark:" in key for key in client.scan_iter("*"))

    def enrolled(self) -> str:
        """The token of a device that has just been enrolled."""
        operator = {"authorization": f"Bearer {ADMIN}"}
        minted = httpx.post(
            self.gateway.url + "/v1/admin/enrolments", json={}, headers=operator, trust_env=False
        ).json()
        answer = httpx.post(
            self.gateway.url + "/v1/devices/enrol",
            json={"enrolment_token": minted["enrolment_token"]},
            trust_env=False,
        )
        return str(answer.json()["device_token"])


@pytest.fixture
def on_redis(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[GatewayOnRedis]:
    """A test may give settings of the `state` as its parameter."""
    with ExitStack() as stack:
        redis = stack.enter_context(redis_server(tmp_path))
        engine = start_simulator("rill-edge", tmp_path)
        stack.callback(engine.stop)
        config = {
            "pools": {"edge": {"tier": "edge", "endpoints": [engine.url]}},
            "state": {"redis": {"url": redis.url}, **getattr(request, "param", {})},
            "admin": {"token": ADMIN},
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
    assert on_redis.gateway.metric("tierflow_condition", condition="state-lost") == 1
    on_redis.ask()
    on_redis.redis.start()
    eventually(lambda: not on_redis.problem, "/ready tells the return")
    assert on_redis.gateway.metric("tierflow_state_up") == 1
    assert on_redis.gateway.metric("tierflow_condition", condition="state-lost") == 0
    eventually(lambda: '"state_back"' in on_redis.gateway.output(), "the log tells the return")
    log = on_redis.gateway.output()
    assert log.count('"state_lost"') == 1 and log.count('"state_back"') == 1


# A gateway that starts is busy for longer than a call may take else: it would miss the answer that
# its mark was written.
@pytest.mark.parametrize("on_redis", [{"timeout_s": 5}], ids=["patient"], indirect=True)
@pytest.mark.parametrize("how", ["flushed", "restarted"])
async def test_an_emptied_store_is_noticed_and_its_devices_are_told_to_enrol_again(
    on_redis: GatewayOnRedis, how: str
) -> None:
    token = on_redis.enrolled()
    async with connected(on_redis.gateway.url, token):
        pass
    eventually(lambda: on_redis.has_mark(), "the gateway has left its mark")
    if how == "flushed":
        with on_redis.redis.client() as client:
            client.flushall()
    else:
        on_redis.redis.kill()
        on_redis.redis.start()
    eventually(lambda: "state-emptied" in on_redis.ready()["conditions"], "/ready tells it")
    assert on_redis.gateway.metric("tierflow_state_emptied_total") == 1
    eventually(lambda: '"state_emptied"' in on_redis.gateway.output(), "the log tells it")
    assert on_redis.gateway.output().count('"state_emptied"') == 1
    with pytest.raises(websockets.InvalidStatus) as caught:
        async with connected(on_redis.gateway.url, token):
            pass
    told = json.loads(caught.value.response.body)["error"]
    assert told["code"] == "unknown_device_token"
    assert "enrol the device again" in told["message"]


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
