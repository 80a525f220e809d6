"""What one request does to a gateway: to the callers beside it, to its memory and its processor."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from loadtest.measure.http_client import BrokenAnswer, Connection, Target, get
from loadtest.measure.processes import Process
from loadtest.measure.statistics import percentile

PROBE = get("/health")
PAUSE_S = 0.002
SETTLE_S = 0.1
PATIENCE_S = 60.0
MIB = 2.0**20


@dataclass(slots=True)
class Probes:
    """Light requests one after another, beside what is measured: the seconds that each took, and
    for how many of them the gateway worked."""

    gateway: Process
    latencies: list[float] = field(default_factory=list)
    worked: list[float] = field(default_factory=list)

    async def run(self) -> None:
        connection = await Connection.open(self.gateway.target)
        try:
            while True:
                sent, worked = monotonic(), worked_s(self.gateway.pid)
                try:
                    await connection.exchange(PROBE)
                finally:
                    # One that has not come back when the others stop waited at least so long.
                    self.latencies.append(monotonic() - sent)
                    self.worked.append(worked_s(self.gateway.pid) - worked)
                await asyncio.sleep(PAUSE_S)
        finally:
            connection.close()

    def p99(self) -> float:
        return percentile(self.latencies, 0.99)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Of one case: `status` 0 where the connection ended without an answer; `stall_s` is the
    longest wait of a light request beside it, `held_s` the longest time for which the gateway
    worked on other things meanwhile (without the time for which other processes had its core),
    `cpu_s` all its work, `grown_mb` what its resident memory grew by at its peak."""

    status: int
    stall_s: float
    p99_s: float
    held_s: float
    cpu_s: float
    grown_mb: float


async def observe(gateway: Process, requests: Sequence[bytes]) -> list[Observation]:
    """Send each of the requests, one after another. Raises BenchmarkFailure."""
    return [await _observe(gateway, request) for request in requests]


async def _observe(gateway: Process, request: bytes) -> Observation:
    probes = Probes(gateway)
    probing = asyncio.create_task(probes.run())
    await asyncio.sleep(SETTLE_S)
    probes.latencies.clear()
    probes.worked.clear()
    memory, cpu = reset_peak(gateway.pid), worked_s(gateway.pid)
    try:
        async with asyncio.timeout(PATIENCE_S):
            status = await send(gateway.target, request)
        await asyncio.sleep(SETTLE_S)
    finally:
        probing.cancel()
        await asyncio.gather(probing, return_exceptions=True)
    return Observation(
        status=status,
        stall_s=max(probes.latencies),
        p99_s=probes.p99(),
        held_s=max(probes.worked),
        cpu_s=worked_s(gateway.pid) - cpu,
        grown_mb=peak_mb(gateway.pid) - memory,
    )


async def send(target: Target, request: bytes) -> int:
    """The status; 0 where the connection ended without an answer."""
    connection = await Connection.open(target)
    try:
        return (await connection.exchange(request)).status
    except BrokenAnswer as broken:
        return broken.exchange.status
    finally:
        connection.close()


def worked_s(pid: int) -> float:
    """How long the process's main thread has run so far (Linux: schedstat)."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def reset_peak(pid: int) -> float:
    """The resident MiB now, from where the peak counts anew (Linux: proc(5), clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return _status_mb(pid, "VmRSS:")


def peak_mb(pid: int) -> float:
    return _status_mb(pid, "VmHWM:")


def _status_mb(pid: int, name: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))
