"""The order of one run: what is started when, on which cores, and where the results go."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from itertools import chain

from loadtest.bench import canned, engine, heldout, plots, quality, weights
from loadtest.bench.preflight import check_memory, engine_versions
from loadtest.bench.settings import TIERS, Settings
from loadtest.measure.comparison import Comparison, Reading, compare, table
from loadtest.measure.cores import Cores, on_cores
from loadtest.measure.machine import describe_machine, versions
from loadtest.measure.processes import Processes, Running
from loadtest.measure.progress import Progress
from loadtest.measure.results import final_line, write
from loadtest.measure.serving import (
    ENGINE_START_S,
    start_canned_engine,
    start_gateway,
    start_vllm,
)
from loadtest.measure.spread import interleaved
from loadtest.measure.ways import Ways

Comparisons = dict[str, Comparison]


class Bench:
    """One run: what is started, on which cores, and what is told meanwhile."""

    def __init__(self, settings: Settings, processes: Processes, progress: Progress) -> None:
        self.settings = settings
        self.plan = settings.plan
        self.processes = processes
        self.progress = progress
        self.cores = Cores.split(os.sched_getaffinity(0))
        self.configs = settings.results / "logs"

    def repeat(self, scenarios: Mapping[str, Callable[[], list[Reading]]]) -> Comparisons:
        # The load generator stays off the gateway's core.
        with on_cores(self.cores.others):
            found = interleaved(self.plan.repetitions, scenarios, self.progress)
        return compare(chain.from_iterable(chain.from_iterable(found.values())))

    def gateway(self, pools: Mapping[str, Running]) -> Running:
        return start_gateway(self.processes, pools, cores=self.cores.measured, folder=self.configs)

    def canned_overhead(self) -> Comparisons:
        self.progress("the gateway before the canned engine")
        upstream = start_canned_engine(
            self.processes, cores=self.cores.others, interval_ms=canned.INTERVAL_MS
        )
        gateway = self.gateway({"cloud": upstream})
        found = self.repeat(canned.scenarios(Ways(upstream, gateway), self.plan))
        self.processes.stop(gateway)
        self.processes.stop(upstream)
        return found

    def engines(self) -> dict[str, Running]:
        """The three sizes, each in a vLLM of its own, all on the cores beside the gateway's."""
        self.progress("starting vLLM with the three sizes")
        everywhere = self.cores.others | self.cores.measured
        started = {
            tier: start_vllm(self.processes, self.settings.engine_python, model, cores=everywhere)
            for tier, model in self.settings.family.items()
        }
        for tier, running in started.items():
            running.wait_ready("/health", ENGINE_START_S)
            running.pin(self.cores.others)
            self.progress(f"the {tier} size is ready")
        return started

    def engine_overhead(self, engines: Mapping[str, Running], gateway: Running) -> Comparisons:
        ways = Ways(engines["cloud"], gateway)
        model = self.settings.family["cloud"].name
        return self.repeat(engine.scenarios(ways, model, self.plan))

    def speeds(self, gateway: Running) -> dict[str, list[quality.Speed]]:
        models = {tier: folder.name for tier, folder in self.settings.family.items()}
        count = self.plan.questions
        asked = heldout.questions(self.settings.engine_python, count * self.plan.repetitions)
        found: dict[str, list[quality.Speed]] = {tier: [] for tier in models}
        for number in range(self.plan.repetitions):
            self.progress(f"speed of the three sizes, {number + 1} of {self.plan.repetitions}")
            part = asked[number * count : (number + 1) * count]
            with on_cores(self.cores.others):
                for tier, speed in quality.speeds(gateway.target, models, part).items():
                    found[tier].append(speed)
        return found

    def accuracy(self) -> heldout.Quality:
        self.progress(f"accuracy over {self.plan.examples} held-out questions per size")
        return heldout.evaluate(
            self.processes,
            self.settings.engine_python,
            self.settings.family["cloud"].parent,
            self.plan.examples,
            self.cores.others | self.cores.measured,
        )

    def run(self) -> str:
        """Everything; gives the final line. Raises BenchmarkFailure."""
        check_memory(len(self.settings.family))
        self.engine_versions = engine_versions(self.settings.engine_python)
        overhead = self.canned_overhead()
        engines = self.engines()
        gateway = self.gateway(engines)
        real = self.engine_overhead(engines, gateway)
        speeds = self.speeds(gateway)
        for running in (gateway, *engines.values()):
            self.processes.stop(running)
        found = self.accuracy()
        sizes = [
            quality.Size(
                tier,
                folder.name,
                weights.parameters(folder),
                found.accuracy[tier],
                found.agreement[tier],
                speeds[tier],
            )
            for tier, folder in self.settings.family.items()
        ]
        self.write(overhead, real, sizes)
        return final_line(
            {
                "added_ms_p50": _compared(overhead[canned.ADDED_LATENCY]),
                "rps_ratio": _compared(real[engine.RATE]),
                **{f"accuracy_{tier}": found.accuracy[tier] for tier in TIERS},
                **{f"agreement_{tier}": found.agreement[tier] for tier in TIERS[:-1]},
            }
        )

    def write(self, overhead: Comparisons, real: Comparisons, sizes: list[quality.Size]) -> None:
        sides = {"baseline": "direct", "candidate": "through the gateway"}
        model = self.settings.family["cloud"].name
        tables = [
            table("overhead", "Before an engine that answers at once", overhead.values(), **sides),
            table("vllm", f"Before vLLM with {model}", real.values(), **sides),
            quality.table(sizes),
        ]
        notes = {
            **describe_machine(),
            "gateway": versions(("uvicorn", "uvloop", "httptools", "aiohttp")),
            "engine": self.engine_versions,
            "repetitions": str(self.plan.repetitions),
            "held-out questions": str(self.plan.examples),
        }
        folder = self.settings.results
        print(write(folder, "bench", tables, notes).read_text())
        plotted = {
            "time of an answer, c=1": overhead[canned.ADDED_LATENCY],
            "TTFT of a stream, c=1": overhead[canned.TTFT],
            f"streams, c={canned.CONCURRENCY}": overhead[canned.STREAMS],
            f"vLLM streams, c={engine.CONCURRENCY}": real[engine.RATE],
        }
        plots.plot_overhead(plotted, folder / "bench-overhead.png")
        plots.plot_quality(sizes, folder / "bench-quality.png")
        self.progress(f"tables and plots are in {folder}")


def _compared(comparison: Comparison) -> float | None:
    return comparison.compared.median if comparison.compared else None
