"""Gateways that share a Redis, and clients whose requests are spread over them.

    with replicas(folder, config, config) as both:
        with OpenAI(base_url=both.v1, api_key="none", http_client=both.openai_client()) as client:
            ...                                 # each request, repetitions too, at the next replica

A client's hook chooses the replica, as a load balancer does: those whose process has ended get no
further requests, and what was under way at them breaks off.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import DefaultAsyncHttpxClient, DefaultHttpxClient

from tests.redis_server import needs_redis, redis_server
from tests.servers import Server, start_gateway

ONE_OR_TWO = [
    pytest.param(1, id="one-gateway"),
    pytest.param(2, id="two-gateways", marks=[pytest.mark.redis, needs_redis]),
]
"""Parameters of a fixture: how many gateways stand behind its clients."""
PATIENCE_S = 60.0


@dataclass
class Replicas:
    each: list[Server]
    _turns: Iterator[int] = field(default_factory=itertools.count)

    @property
    def v1(self) -> str:
        """The address that clients are made with; where a request goes is chosen anew."""
        return self.each[0].url + "/v1"

    def next(self) -> Server:
        """Round robin over those that live."""
        living = [server for server in self.each if server.process.poll() is None]
        return living[next(self._turns) % len(living)]

    def http(self) -> httpx.Client:
        hooks = {"request": [self._spread]}
        return httpx.Client(base_url=self.each[0].url, timeout=PATIENCE_S, event_hooks=hooks)

    def async_http(self) -> httpx.AsyncClient:
        hooks = {"request": [self._spread_async]}
        return httpx.AsyncClient(base_url=self.each[0].url, timeout=PATIENCE_S, event_hooks=hooks)

    def openai_client(self) -> DefaultHttpxClient:
        return DefaultHttpxClient(event_hooks={"request": [self._spread]})

    def async_openai_client(self) -> DefaultAsyncHttpxClient:
        return DefaultAsyncHttpxClient(event_hooks={"request": [self._spread_async]})

    def metric(self, name: str, **labels: str) -> float:
        """The sum over all of them."""
        return sum(server.metric(name, **labels) for server in self.each)

    def output(self) -> str:
        return "".join(server.output() for server in self.each)

    # The openai package brings its own make of httpx: both have these attributes.
    def _spread(self, request: Any) -> None:
        host, _, port = self.next().id.partition(":")
        request.url = request.url.copy_with(host=host, port=int(port))
        request.headers["host"] = f"{host}:{port}"

    async def _spread_async(self, request: Any) -> None:
        self._spread(request)


@contextmanager
def replicas(
    folder: Path, *configs: dict[str, Any], ready: bool = True, timeout_s: float = 2.0
) -> Iterator[Replicas]:
    """A gateway for each configuration: one with its own memory, several on one real Redis."""
    with ExitStack() as stack:
        shared: dict[str, Any] = {}
        if len(configs) > 1:
            redis = stack.enter_context(redis_server(folder))
            shared = {"state": {"redis": {"url": redis.url}, "timeout_s": timeout_s}}
        found = Replicas([])
        for config in configs:
            found.each.append(start_gateway({**config, **shared}, folder, ready))
            stack.callback(found.each[-1].stop)
        yield found
