"""The faults: what breaks, how, and how it comes back."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import urllib.request
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from loadtest.chaos.testbed import Part, Testbed
from loadtest.measure.processes import HOST

Step = Callable[[Testbed], Awaitable[None]]
CONTROL_S = 5.0
SETTLED_S = 2.0
"""How long a rollout waits after a part is ready, as with `minReadySeconds` of Kubernetes."""
GRACE_S = 60.0
"""How long a replica of the gateway, or an engine, may take to end when it is asked to."""


async def nothing(testbed: Testbed) -> None:
    """The fault ends by itself."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault: its name in reports, the step that begins it, and the one that ends it."""

    name: str
    begin: Step
    end: Step = nothing


def paused(name: str, part: Callable[[Testbed], Part]) -> Fault:
    """SIGSTOP, then SIGCONT."""

    async def begin(testbed: Testbed) -> None:
        part(testbed).running.pause()

    async def end(testbed: Testbed) -> None:
        part(testbed).running.resume()

    return Fault(name, begin, end)


def dead(name: str, part: Callable[[Testbed], Part]) -> Fault:
    """SIGKILL, for good."""

    async def begin(testbed: Testbed) -> None:
        testbed.kill(part(testbed))

    return Fault(name, begin)


def killed(name: str, part: Callable[[Testbed], Part]) -> Fault:
    """SIGKILL; later it starts anew at its port."""

    async def end(testbed: Testbed) -> None:
        await testbed.restart(part(testbed))

    return Fault(name, dead(name, part).begin, end)


def rolled_out(name: str, parts: Callable[[Testbed], list[Part]], patience_s: float) -> Fault:
    """SIGTERM, the end, a new start: one part after the other."""

    async def begin(testbed: Testbed) -> None:
        for part in parts(testbed):
            await testbed.roll_out(part, patience_s)
            await asyncio.sleep(SETTLED_S)

    return Fault(name, begin)


def engines_rolled_out(name: str, tier: str = "edge") -> Fault:
    """Each engine of a tier leaves, ends what it runs, and comes back, one after the other."""

    async def begin(testbed: Testbed) -> None:
        for engine in [engine for engine in testbed.engines if engine.tier == tier]:
            await testbed.roll_out_engine(engine, GRACE_S)
            await asyncio.sleep(SETTLED_S)

    return Fault(name, begin)


def misbehaving(name: str, index: int = 0, tier: str = "edge", **faults: object) -> Fault:
    """A simulated engine does what its fault control is told: see docs/engine-simulator.md."""

    async def begin(testbed: Testbed) -> None:
        await asyncio.to_thread(_control, testbed.pool(tier)[index], "POST", faults)

    async def end(testbed: Testbed) -> None:
        await asyncio.to_thread(_control, testbed.pool(tier)[index], "DELETE", None)

    return Fault(name, begin, end)


def _control(part: Part, method: str, faults: dict[str, object] | None) -> None:
    request = urllib.request.Request(
        f"http://{HOST}:{part.port}/simulator/faults",
        data=None if faults is None else json.dumps(faults).encode(),
        method=method,
    )
    urllib.request.urlopen(request, timeout=CONTROL_S).close()


def of_redis(name: str, *commands: tuple[str, ...], undo: tuple[str, ...] = ()) -> Fault:
    """Redis is told these commands, and `undo` at the end."""

    async def begin(testbed: Testbed) -> None:
        await asyncio.to_thread(_tell_redis, testbed.redis.port, *commands)

    async def end(testbed: Testbed) -> None:
        if undo:
            await asyncio.to_thread(_tell_redis, testbed.redis.port, undo)

    return Fault(name, begin, end)


def _tell_redis(port: int, *commands: tuple[str, ...]) -> None:
    with redis.Redis(
        host=HOST, port=port, socket_timeout=CONTROL_S, retry=Retry(NoBackoff(), 0)
    ) as client:
        for command in commands:
            client.execute_command(*command)


def full_log_disk(name: str, index: int) -> Fault:
    """A replica's log file may not grow any more: each write to it fails."""

    def limit(bytes_: int, testbed: Testbed) -> None:
        pid = testbed.replicas[index].running.pid
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (bytes_, hard))

    async def begin(testbed: Testbed) -> None:
        limit(os.path.getsize(testbed.replicas[index].running.log), testbed)

    async def end(testbed: Testbed) -> None:
        limit(resource.RLIM_INFINITY, testbed)

    return Fault(name, begin, end)


def cut_link(name: str, seconds: float) -> Fault:
    """All connections over the link are reset, and no new ones are accepted for so long."""

    async def begin(testbed: Testbed) -> None:
        await testbed.conditions(cut_s=seconds)

    return Fault(name, begin)


def slow_link(name: str, *, rate_mb_s: float, delay_ms: float) -> Fault:
    async def begin(testbed: Testbed) -> None:
        await testbed.conditions(rate_mb_s=rate_mb_s, delay_ms=delay_ms)

    async def end(testbed: Testbed) -> None:
        await testbed.conditions(rate_mb_s=0.0, delay_ms=0.0)

    return Fault(name, begin, end)


def _api_server_gone() -> Fault:
    async def begin(testbed: Testbed) -> None:
        await testbed.api.stop()

    async def end(testbed: Testbed) -> None:
        await testbed.api.start()

    return Fault("Kubernetes API gone", begin, end)


def edge(index: int) -> Callable[[Testbed], Part]:
    return lambda testbed: testbed.pool("edge")[index]


def replica(index: int) -> Callable[[Testbed], Part]:
    return lambda testbed: testbed.replicas[index]


def the_redis(testbed: Testbed) -> Part:
    return testbed.redis


ENGINE_KILLED = killed("engine killed", edge(0))
ENGINE_DEAD = dead("engine killed", edge(0))
ENGINE_PAUSED = paused("engine paused", edge(1))
REFUSES = misbehaving("engine: 500 at once", error_probability=1)
OVERLOADED = misbehaving("engine: 429 at once", status=429)
SILENT = misbehaving("engine: no first byte", hang_before_first_byte=True)
HANGS = misbehaving("engine: hangs in the answer", hang_after_tokens=6)
HALF_EVENT = misbehaving("engine: half an event", half_event_after_tokens=5)
EMPTY = misbehaving("engine: empty answers", empty=True)
DIES_AT_FIRST = misbehaving("engine: an error is the first event", error_event_after_tokens=0)
DIES = misbehaving("engine: an error in the answer", error_event_after_tokens=7)
ENGINES_ROLLED_OUT = engines_rolled_out("rollout of the engines")

REDIS_KILLED = killed("Redis killed", the_redis)
REDIS_PAUSED = paused("Redis paused", the_redis)
REDIS_FLUSHED = of_redis("Redis flushed", ("FLUSHALL",))
REDIS_READ_ONLY = of_redis(
    "Redis read-only", ("REPLICAOF", HOST, "1"), undo=("REPLICAOF", "NO", "ONE")
)
API_SERVER_GONE = _api_server_gone()

GATEWAY_STALLED = paused("gateway stalled", replica(0))
GATEWAY_KILLED = killed("gateway killed", replica(1))
GATEWAYS_ROLLED_OUT = rolled_out(
    "rollout of the gateway", lambda testbed: testbed.replicas, GRACE_S
)
LOG_DISK_FULL = full_log_disk("log disk full", 0)

LINK_CUT = partial(cut_link, "link cut")
LINK_CRAWLS = slow_link("link crawls", rate_mb_s=0.01, delay_ms=150)
