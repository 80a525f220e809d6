"""The order of one soak: engines, Redis, a gateway, an hour of load, the lines through samples."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from time import monotonic

from loadtest.callers.questions import KINDS, Question, with_answers
from loadtest.measure.benchmark import Benchmark
from loadtest.measure.closed_loop import run
from loadtest.measure.process_samples import ProcessSeries
from loadtest.measure.processes import Process
from loadtest.measure.results import Cell, Table
from loadtest.measure.servers import start_gateway, start_redis, start_simulator
from loadtest.soak.growth import Growth
from loadtest.soak.load import SoakLoad
from loadtest.soak.plan import SoakPlan
from loadtest.soak.plots import plot_growth

MODEL = "rill-edge"
ENGINES = 2
PACE = ("--decode-tokens-per-s", "200", "--max-num-seqs", "256", "--kv-cache-tokens", "4000000")
LOOK_EVERY_S = 2.0
REPORT_EVERY_S = 300.0


class SoakRun(Benchmark[SoakPlan]):
    """A soak: one gateway before simulated engines, and what it holds over time."""

    name = "soak"
    engines = 0

    def measure(self) -> Mapping[str, float | None]:
        """Everything; gives the figures of the final line. Raises BenchmarkFailure."""
        cores = self.cores
        engines = [
            start_simulator(self.processes, MODEL, cores=cores.others, arguments=PACE)
            for _ in range(ENGINES)
        ]
        redis = start_redis(self.processes, cores=cores.others, folder=self.settings.logs)
        gateway = start_gateway(
            self.processes,
            {
                "pools": {"edge": {"tier": "edge", "endpoints": [e.url for e in engines]}},
                "state": {"redis": {"url": f"redis://{redis.target.host}:{redis.target.port}/0"}},
            },
            cores=cores.measured,
            folder=self.settings.logs,
        )
        series = ProcessSeries(gateway.name, gateway.pid)
        load = run(self._soak(self._questions(), gateway, series))
        return self._figures(load, series)

    def _questions(self) -> list[Question]:
        reference = start_simulator(
            self.processes, MODEL, cores=self.cores.others, arguments=("--unpaced",)
        )
        plan = self.plan
        kinds = [replace(kind, returns=False) for kind in KINDS]
        found = with_answers(
            reference.url, model=MODEL, count=plan.questions, tokens=plan.tokens, kinds=kinds
        )
        self.processes.stop(reference)
        return found

    async def _soak(
        self, questions: list[Question], gateway: Process, series: ProcessSeries
    ) -> SoakLoad:
        plan = self.plan
        load = SoakLoad(questions, gateway.target, plan.leave_every)
        ended = asyncio.Event()
        self.progress(f"{plan.seconds:g} s of load, {plan.callers} callers at a time")
        callers = [asyncio.create_task(load.work(ended)) for _ in range(plan.callers)]
        end = monotonic() + plan.seconds
        report = monotonic() + REPORT_EVERY_S
        while monotonic() < end and not any(caller.done() for caller in callers):
            series.look()
            if monotonic() > report:
                report += REPORT_EVERY_S
                self.progress(f"{load.answers} answers, {series.samples[-1].rss_mb:.1f} MiB")
            await asyncio.sleep(LOOK_EVERY_S)
        ended.set()
        await asyncio.gather(*callers)
        return load

    def _figures(self, load: SoakLoad, series: ProcessSeries) -> Mapping[str, float | None]:
        samples = series.samples
        warm = series.since(samples[0].at + self.plan.warm_share * self.plan.seconds)
        memory = Growth.of([(sample.at, sample.rss_mb) for sample in warm])
        descriptors = Growth.of([(sample.at, float(sample.descriptors)) for sample in warm])
        figures: dict[str, float | None] = {
            "seconds": round(samples[-1].at - samples[0].at),
            "answers": load.answers,
            "left": load.left,
            "bad": load.bad,
            "rss_mb": memory.mean,
            "rss_mb_per_hour": memory.per_hour,
            "descriptors": descriptors.mean,
            "descriptors_per_hour": descriptors.per_hour,
        }
        rows: list[list[Cell]] = [[name, value] for name, value in figures.items()]
        tables = [
            Table(name="growth", title="Growth", columns=("figure", "value"), rows=rows),
            Table(
                name="samples",
                title="Samples",
                columns=("s", "MiB", "descriptors"),
                rows=[
                    [round(s.at - samples[0].at), s.rss_mb, s.descriptors]
                    for s in samples[:: max(1, len(samples) // 60)]
                ],
            ),
        ]
        self.write(tables, {"reasons": "; ".join(sorted(set(load.reasons)))[:500] or "none"})
        picture = self.settings.results / "soak.png"
        plot_growth(picture, samples, memory=memory, descriptors=descriptors)
        self.progress(f"the picture is {picture}")
        self.exit_code = 1 if load.bad else 0
        return figures
