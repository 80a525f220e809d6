"""A cluster of sorts: an API server's stand-in, engines that it may list, and a gateway."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx

from loadtest.kubernetes_api import ApiServer, Object, endpoint_slice, pod
from tests.integration.fleet import engine, question
from tests.servers import Server, eventually, metric_in, start_gateway

Result = TypeVar("Result")


class ApiThread:
    """The stand-in in a thread of its own; `do` runs something inside its event loop."""

    def __init__(self) -> None:
        self.server = ApiServer()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def do(self, work: Callable[[], Result]) -> Result:
        async def inside() -> Result:
            return work()

        return self.run(inside())

    def close(self) -> None:
        self.run(self.server.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)
        self._loop.close()


@dataclass
class Cluster:
    folder: Path
    stack: ExitStack
    api: ApiThread
    http: httpx.Client
    engines: list[Server] = field(default_factory=list)
    gateway: Server | None = None

    @classmethod
    def build(cls, folder: Path, stack: ExitStack) -> Cluster:
        api = ApiThread()
        stack.callback(api.close)
        api.run(api.server.start())
        http = stack.enter_context(httpx.Client(timeout=60, trust_env=False))
        return cls(folder, stack, api, http)

    def start_engine(self, model: str = "rill-edge") -> Server:
        self.engines.append(engine(model, self.folder))
        self.stack.callback(self.engines[-1].stop)
        return self.engines[-1]

    def start_gateway(self, ready: bool = True, **settings: Any) -> Server:
        kubeconfig = self.api.server.kubeconfig(self.folder)
        discovery = {"namespaces": ["tierflow"], "kubeconfig": str(kubeconfig)}
        config = {"scrape": {"interval_s": 0.2}, **settings}
        config["discovery"] = discovery | config.get("discovery", {})
        self.gateway = start_gateway(config, self.folder, ready)
        self.stack.callback(self.gateway.stop)
        return self.gateway

    def lists(self, *engines: Server, unready: tuple[Server, ...] = (), **fields: Any) -> None:
        """The API server has a slice for each of these; engines listen on a port each."""
        for server in (*engines, *unready):
            item = self.slice_of(server, server not in unready, **fields)
            self.api.do(lambda item=item: self.api.server.put(item))  # type: ignore[misc]

    def slice_of(self, server: Server, ready: bool = True, **fields: Any) -> Object:
        host, _, port = server.id.rpartition(":")
        name = f"{server.name}-{port}"
        return endpoint_slice(name, pod(host, ready), port=int(port), **fields)

    def get(self, path: str) -> httpx.Response:
        assert self.gateway is not None
        return self.http.get(self.gateway.url + path)

    def ready(self) -> Any:
        return self.get("/ready").json()

    def in_rotation(self, pool: str = "edge") -> dict[str, str]:
        endpoints: dict[str, str] = self.ready()["pools"].get(pool, {}).get("endpoints", {})
        return endpoints

    def until_in_rotation(self, *engines: Server, pool: str = "edge") -> None:
        wanted = {server.id: "ok" for server in engines}
        eventually(lambda: self.in_rotation(pool) == wanted, f"{wanted} at pool {pool}")

    def metric(self, name: str, **labels: str) -> float:
        return metric_in(self.get("/metrics").text, name, **labels)

    def ask(self, model: str, text: str = "hi", **fields: Any) -> httpx.Response:
        assert self.gateway is not None
        url = self.gateway.url + "/v1/chat/completions"
        return self.http.post(url, json=question(model, text, **fields))
