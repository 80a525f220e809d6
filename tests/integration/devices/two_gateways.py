"""Gateways that share a Redis, for devices alone: no engine stands behind them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.integration.device import TOKEN
from tests.integration.devices.device_gateway import digest
from tests.redis_server import RedisServer, redis_server
from tests.servers import Server, eventually, start_gateway

ADMIN = "token-of-the-operator"


@dataclass
class Gateways:
    """`redis` is shared by all of them."""

    redis: RedisServer
    config: dict[str, Any]
    folder: Path
    each: list[Server]

    def __getitem__(self, number: int) -> Server:
        return self.each[number]

    def start(self) -> Server:
        self.each.append(start_gateway(self.config, self.folder, ready=False))
        return self.each[-1]

    def admin(self, number: int, method: str, path: str, **given: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {ADMIN}"}
        return httpx.request(
            method, self.each[number].url + path, headers=headers, timeout=20, **given
        )

    def enrolment(self, number: int = 0, **wish: Any) -> str:
        answer = self.admin(number, "POST", "/v1/admin/enrolments", json=wish)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["enrolment_token"])

    def enrol(self, number: int, token: str, **more: Any) -> httpx.Response:
        body = {"enrolment_token": token, **more}
        return httpx.post(self.each[number].url + "/v1/devices/enrol", json=body, timeout=20)

    def enrolled(self, name: str, **wish: Any) -> str:
        """A new device's own token. Waits while this address is barred for its guesses."""
        token = self.enrolment(name=name, **wish)

        def accepted() -> list[httpx.Response]:
            answer = self.enrol(0, token)
            return [] if answer.status_code == 429 else [answer]

        (answer,) = eventually(accepted, "the address may try again", 60, 0.5)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["device_token"])


@contextmanager
def gateways(folder: Path, count: int = 2, **devices: Any) -> Iterator[Gateways]:
    with redis_server(folder) as redis:
        tokens = {"phone": digest(TOKEN), "watch": digest("token-of-the-watch")}
        config = {
            "pools": {"cloud": {"tier": "cloud", "endpoints": ["http://127.0.0.1:9"]}},
            "devices": {"tokens": tokens, "owners": {"phone": "ann"}, **devices},
            "admin": {"token": ADMIN},
            "state": {"redis": {"url": redis.url}, "timeout_s": 2},
        }
        both = Gateways(redis, config, folder, [])
        try:
            for _ in range(count):
                both.start()
            yield both
        finally:
            for gateway in both.each:
                gateway.stop()
