"""What is broken: two replicas of the gateway behind a balancer, engines, Redis, an API server.

Each is a process of its own at a fixed port, so that what was killed comes back where it was. The
API server is a stand-in within this process.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence, Set
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

from loadtest.kubernetes_api import ApiServer, endpoint_slice, pod
from loadtest.link.control import Control
from loadtest.measure.http_client import Target
from loadtest.measure.processes import HOST, Process, Processes, free_port
from loadtest.measure.servers import START_S, start_gateway, start_redis

NAMESPACE = "tierflow"


@dataclass(slots=True, kw_only=True)
class Part:
    """A part of the testbed at a fixed port: how it is started there, and what runs.

    `start` gets the number of the start, from 1. `kills` are the moments (monotonic seconds) at
    which its process was killed.
    """

    name: str
    port: int
    start: Callable[[int], Process]
    starts: int = 0
    kills: list[float] = field(default_factory=list)
    process: Process | None = None

    @property
    def running(self) -> Process:
        """The process. It may have been paused or killed."""
        assert self.process is not None, "parts are started with the testbed"
        return self.process

    def begin(self) -> None:
        """Start it and wait until it is ready. Raises BenchmarkFailure."""
        self.starts += 1
        self.process = self.start(self.starts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """An engine of a tier's pool."""

    tier: str
    model: str
    part: Part


LEAVING_S = 1.0
"""How long an engine that leaves goes on serving before it is asked to end, as with a pod's
preStop."""


async def _begin(parts: Sequence[Part]) -> None:
    await asyncio.gather(*(asyncio.to_thread(part.begin) for part in parts))


def clock_ahead(days: int) -> Sequence[str]:
    """A command whose process has a monotonic clock that is so many days ahead, as on a host that
    was started earlier. Nothing for no days, and where a time namespace is not allowed."""
    seconds = str(86_400 * days)
    offsets = ("unshare", "--time", "--monotonic", seconds, "--boottime", seconds, "--")
    if not days or shutil.which("unshare") is None:
        return ()
    allowed = subprocess.run([*offsets, "true"], capture_output=True).returncode == 0
    return offsets if allowed else ()


class Testbed:
    """The system under faults; `target` is where plain callers go, `lossy` leads over the link.

    Each start of a gateway's replica has a clock a day further ahead than the one before.
    """

    __test__ = False

    def __init__(
        self,
        *,
        processes: Processes,
        engines: Sequence[Engine],
        settings: Mapping[str, Any],
        logs: Path,
        cores: Set[int],
        replicas: int,
    ) -> None:
        self.engines = engines
        self.api = ApiServer()
        self._processes = processes
        self._settings = settings
        self._logs = logs
        self._cores = cores
        self._balancer, self._link, self._control = (free_port() for _ in range(3))
        self.redis = self._part("redis", self._start_redis)
        self.replicas = [
            self._part(f"gateway {number + 1}", self._start_gateway) for number in range(replicas)
        ]

    def _part(self, name: str, start: Callable[[int, int], Process]) -> Part:
        port = free_port()
        return Part(name=name, port=port, start=lambda count: start(port, count))

    @property
    def target(self) -> Target:
        return Target(HOST, self._balancer)

    @property
    def lossy(self) -> Target:
        return Target(HOST, self._link)

    @property
    def gateways(self) -> list[Process]:
        return [replica.running for replica in self.replicas]

    def pool(self, tier: str) -> list[Part]:
        return [engine.part for engine in self.engines if engine.tier == tier]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Testbed]:
        """Everything is up and ready. Raises BenchmarkFailure."""
        await self.api.start()
        try:
            for engine in self.engines:
                self.api.put(self._slice(engine))
            self._logs.mkdir(parents=True, exist_ok=True)
            self.api.kubeconfig(self._logs)
            await _begin([self.redis, *(engine.part for engine in self.engines)])
            await asyncio.gather(_begin(self.replicas), asyncio.to_thread(self._start_proxies))
            yield self
        finally:
            await self.api.stop()

    async def restart(self, part: Part) -> None:
        """Start anew what has ended. Raises BenchmarkFailure."""
        await asyncio.to_thread(self._processes.stop, part.running)
        await asyncio.to_thread(part.begin)

    def kill(self, part: Part) -> None:
        part.kills.append(monotonic())
        part.running.kill()

    async def roll_out(self, part: Part, patience_s: float) -> None:
        """Ask it to end, as a rollout does, wait until it has, and start it anew."""
        await asyncio.to_thread(part.running.stop, patience_s)
        await self.restart(part)

    async def roll_out_engine(self, engine: Engine, patience_s: float) -> None:
        """The same with an engine, as a cluster does it: discovery says first that it leaves."""
        self.api.put(self._slice(engine, leaves=True))
        await asyncio.sleep(LEAVING_S)
        await self.roll_out(engine.part, patience_s)
        self.api.put(self._slice(engine))

    async def conditions(self, **fields: object) -> None:
        """Change the link's conditions; see `loadtest.link.control`."""

        def change() -> None:
            with Control(self._control) as control:
                control.ask(**fields)

        await asyncio.to_thread(change)

    def _slice(self, engine: Engine, *, leaves: bool = False) -> dict[str, Any]:
        """The engine as the API server lists it: each listens on a port of its own."""
        member = pod(HOST, ready=False, serving=True, terminating=True) if leaves else pod(HOST)
        return endpoint_slice(
            f"{engine.model}-{engine.part.port}",
            member,
            port=engine.part.port,
            pool=engine.tier,
            tier=engine.tier,
            namespace=NAMESPACE,
        )

    def _start_redis(self, port: int, number: int) -> Process:
        return start_redis(self._processes, cores=self._cores, folder=self._logs, port=port)

    def _start_gateway(self, port: int, number: int) -> Process:
        shared = {
            "discovery": {
                "namespaces": [NAMESPACE],
                "kubeconfig": str(self._logs / "kubeconfig"),
            },
            "state": {"redis": {"url": f"redis://{HOST}:{self.redis.port}/0"}},
        }
        return start_gateway(
            self._processes,
            {**shared, **self._settings},
            cores=self._cores,
            folder=self._logs,
            port=port,
            start=number,
            within=clock_ahead(number - 1),
        )

    def _start_proxies(self) -> None:
        """The balancer before the replicas, and the link before the balancer."""
        to = [word for part in self.replicas for word in ("--to", str(part.port))]
        self._proxy("balancer", "loadtest.chaos.balancer", self._balancer, *to)
        link = ("--to", f"{HOST}:{self._balancer}", "--control", str(self._control))
        self._proxy("link", "loadtest.link", self._link, *link)

    def _proxy(self, name: str, module: str, port: int, *arguments: str) -> None:
        command = [sys.executable, "-m", module, "--listen", str(port), *arguments]
        process = self._processes.start(name, command, cores=self._cores, port=port)
        process.wait_for(lambda: "ready" in process.log.read_text(), START_S)
