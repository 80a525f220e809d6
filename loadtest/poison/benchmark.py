"""The order of one run: every shape alone beside light requests, then a crowd in little memory."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loadtest.measure.benchmark import Benchmark
from loadtest.measure.closed_loop import run
from loadtest.measure.command import BenchmarkFailure
from loadtest.measure.http_client import Target, get
from loadtest.measure.processes import Process
from loadtest.measure.results import Cell, Table
from loadtest.measure.servers import pool, start_canned_engine, start_gateway
from loadtest.poison.bodies import SHAPES, body, flood_of_headers
from loadtest.poison.memory_group import MemoryGroup, memory_group
from loadtest.poison.observation import MIB, Observation, observe, send
from loadtest.poison.plan import CHAT, OTHER_ROUTES, PLAIN, VIRTUAL, PoisonPlan
from loadtest.poison.plots import plot_costs

STALL_MS = 20.0
"""No request may hold the others up for longer."""
WARM_BYTES = 1000
HEADERS = "headers"
NOTHING = "nothing beside"
FINE = "one picture"
"""Nothing is wrong with these bodies: each is held until it has been answered."""


@dataclass(frozen=True, slots=True)
class Case:
    """A shape that goes to a route and a model."""

    shape: str
    path: str
    model: str

    def request(self, size: int) -> bytes:
        if self.shape == NOTHING:
            return get("/health")
        if self.shape == HEADERS:
            return flood_of_headers(self.path, size)
        content = body(self.shape, self.model, size)
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(content)}\r\n\r\n"
        )
        return head.encode() + content


@dataclass(frozen=True, slots=True)
class CrowdResult:
    """What became of a crowd: how many got which status, and the group's peak in bytes."""

    statuses: Counter[int]
    alive: bool
    peak_bytes: int | None


class PoisonRun(Benchmark[PoisonPlan]):
    """One gateway before a canned engine, and requests that are made to hurt it."""

    name = "poison"
    engines = 0

    def measure(self) -> Mapping[str, float | None]:
        """Everything; gives the figures of the final line. Raises BenchmarkFailure."""
        engine = start_canned_engine(self.processes, cores=self.cores.others)
        settings = {"pools": {"edge": pool("edge", engine)}, "family": [PLAIN]}
        gateway = start_gateway(
            self.processes, settings, cores=self.cores.measured, folder=self.settings.logs
        )
        seen = [(case, self._observed(gateway, case)) for case in self._cases()]
        self.processes.stop(gateway)
        crowds = [self._crowd(settings, shapes) for shapes in (tuple(SHAPES), (FINE,))]
        return self._figures(seen, [crowd for crowd in crowds if crowd is not None])

    def _cases(self) -> list[Case]:
        plan = self.plan
        cases = [Case(NOTHING, "/health", "")]
        cases += [Case(shape, CHAT, model) for model in plan.models for shape in SHAPES]
        cases += [
            Case(shape, path, VIRTUAL) for path in OTHER_ROUTES for shape in plan.route_shapes
        ]
        return [*cases, Case(HEADERS, CHAT, "")]

    def _observed(self, gateway: Process, case: Case) -> Observation:
        self.progress(f"{case.shape} to {case.path} {case.model}")
        # The first request at a route finds things that are made once.
        run(send(gateway.target, case.request(WARM_BYTES)))
        request = case.request(self.plan.size_bytes)
        seen = run(observe(gateway, [request] * self.plan.repetitions))
        # The machine's own pauses are not the gateway's.
        return min(seen, key=lambda each: each.held_s)

    def _crowd(self, settings: Mapping[str, object], shapes: Sequence[str]) -> CrowdResult | None:
        """None where this process may make no control group."""
        plan = self.plan
        with memory_group(plan.crowd_limit_bytes) as group:
            if group is None:
                return None
            self.progress(f"{plan.crowd} bodies at a time in {plan.crowd_limit_bytes / MIB:g} MiB")
            gateway = start_gateway(
                self.processes,
                settings,
                cores=self.cores.measured,
                folder=self.settings.logs,
                within=group.within,
            )
            result = run(self._send_crowd(gateway.target, group, shapes))
            self.processes.stop(gateway)
        return result

    async def _send_crowd(
        self, target: Target, group: MemoryGroup, shapes: Sequence[str]
    ) -> CrowdResult:
        models = (PLAIN, VIRTUAL)
        requests = [
            Case(shapes[i % len(shapes)], CHAT, models[i % 2]).request(self.plan.size_bytes)
            for i in range(self.plan.crowd)
        ]

        async def status_of(request: bytes) -> int:
            try:
                return await send(target, request)
            except BenchmarkFailure:
                return 0

        statuses = Counter(await asyncio.gather(*map(status_of, requests)))
        alive = await status_of(get("/health")) == 200
        return CrowdResult(statuses, alive, group.peak_bytes)

    def _figures(
        self, seen: list[tuple[Case, Observation]], crowds: Sequence[CrowdResult]
    ) -> Mapping[str, float | None]:
        size_mb = self.plan.size_bytes / MIB
        hurting = [each for case, each in seen if case.shape != NOTHING]
        figures: dict[str, float | None] = {
            "cases": len(hurting),
            "stall_ms": 1e3 * max(each.stall_s for each in hurting),
            "stall_alone_ms": 1e3 * seen[0][1].stall_s,
            "held_ms": 1e3 * max(each.held_s for each in hurting),
            "over_bound": sum(1e3 * each.held_s > STALL_MS for each in hurting),
            "p99_ms": 1e3 * max(each.p99_s for each in hurting),
            "cpu_ms": 1e3 * max(each.cpu_s for each in hurting),
            "memory_times_body": max(each.grown_mb for each in hurting) / size_mb,
            "server_errors": sum(each.status >= 500 for each in hurting),
            "crowds_alive": sum(crowd.alive for crowd in crowds),
            "crowds": len(crowds),
            "crowd_unanswered": sum(crowd.statuses[0] for crowd in crowds),
            "crowd_peak_mb": max(
                (crowd.peak_bytes / MIB for crowd in crowds if crowd.peak_bytes), default=None
            ),
        }
        rows: list[list[Cell]] = [
            [
                *(case.shape, case.path, case.model, str(each.status)),
                *(1e3 * each.stall_s, 1e3 * each.held_s, 1e3 * each.p99_s, 1e3 * each.cpu_s),
                each.grown_mb / size_mb,
            ]
            for case, each in seen
        ]
        columns = (
            "shape",
            "route",
            "model",
            "status",
            "stall ms",
            "held ms",
            "p99 ms",
            "CPU ms",
            "memory ×",
        )
        tables = [
            Table(name="cases", title=f"Bodies of {size_mb:g} MiB", columns=columns, rows=rows),
            Table(
                name="figures",
                title="In all",
                columns=("figure", "value"),
                rows=[[name, value] for name, value in figures.items()],
            ),
        ]
        statuses = "; ".join(str(dict(crowd.statuses)) for crowd in crowds)
        crowd_text = statuses or "not measured: no control group may be made here"
        self.write(tables, {"plan": str(self.plan), "crowd's statuses": crowd_text})
        plot_costs(
            self.settings.results / "poison.png",
            [(f"{case.shape}, {case.path} {case.model}", each) for case, each in seen],
            size_mb=size_mb,
            bound_ms=STALL_MS,
        )
        return figures
