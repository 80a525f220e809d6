"""The order of one run: what is started when, on which cores, and where the results go."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain

from loadtest.bench import canned_scenarios, plots, vllm_scenarios
from loadtest.bench import sizes as family_sizes
from loadtest.bench.plan import BenchPlan
from loadtest.bench.sizes import Size, Speed
from loadtest.measure.baselines import EngineAndGateway
from loadtest.measure.benchmark import Benchmark
from loadtest.measure.family import Quality, evaluate, held_out, parameters
from loadtest.measure.machine import versions
from loadtest.measure.processes import Process, on_cores
from loadtest.measure.repetitions import Comparison, Reading, compare, interleaved, table
from loadtest.measure.servers import (
    pool,
    start_canned_engine,
    start_gateway,
    start_vllm,
    wait_for_engine,
)
from loadtest.measure.settings import TIERS

Comparisons = dict[str, Comparison]


class GatewayBenchmark(Benchmark[BenchPlan]):
    """The benchmark of what the gateway costs, and of what the family's sizes are worth."""

    name = "bench"
    engines = len(TIERS)

    def measure(self) -> Mapping[str, float | None]:
        """Everything; gives the figures of the final line. Raises BenchmarkFailure."""
        canned = self.measure_canned_engine()
        engines = self.start_engines()
        gateway = self.start_gateway(engines)
        vllm = self.measure_vllm(engines["cloud"], gateway)
        speeds = self.measure_speeds(gateway)
        for process in (gateway, *engines.values()):
            self.processes.stop(process)
        quality = self.measure_quality()
        sizes = [
            Size(
                tier=tier,
                model=folder.name,
                parameters=parameters(folder),
                accuracy=quality.accuracy[tier],
                agreement=quality.agreement[tier],
                speeds=speeds[tier],
            )
            for tier, folder in self.settings.family.items()
        ]
        self.write_results(canned, vllm, sizes)
        return {
            "added_ms_p50": _compared(canned[canned_scenarios.ADDED_LATENCY]),
            "rps_ratio": _compared(vllm[vllm_scenarios.RATE]),
            **{f"accuracy_{tier}": quality.accuracy[tier] for tier in TIERS},
            **{f"agreement_{tier}": quality.agreement[tier] for tier in TIERS[:-1]},
        }

    def repeat(self, scenarios: Mapping[str, Callable[[], list[Reading]]]) -> Comparisons:
        """Every scenario in each repetition; gives the comparisons by figure."""
        # The load generator stays off the gateway's core.
        with on_cores(self.cores.others):
            readings = interleaved(self.plan.repetitions, scenarios, self.progress)
        return compare(chain.from_iterable(chain.from_iterable(readings.values())))

    def start_gateway(self, engines: Mapping[str, Process]) -> Process:
        """A gateway with one pool per tier, all else as shipped."""
        pools = {tier: pool(tier, engine) for tier, engine in engines.items()}
        return start_gateway(
            self.processes, {"pools": pools}, cores=self.cores.measured, folder=self.settings.logs
        )

    def measure_canned_engine(self) -> Comparisons:
        self.progress("the gateway before the canned engine")
        engine = start_canned_engine(
            self.processes, cores=self.cores.others, interval_ms=canned_scenarios.INTERVAL_MS
        )
        gateway = self.start_gateway({"cloud": engine})
        comparisons = self.repeat(
            canned_scenarios.scenarios(EngineAndGateway(engine, gateway), self.plan)
        )
        self.processes.stop(gateway)
        self.processes.stop(engine)
        return comparisons

    def start_engines(self) -> dict[str, Process]:
        """The three sizes, each in a vLLM of its own, all on the cores beside the gateway's."""
        self.progress("starting vLLM with the three sizes")
        engines = {
            tier: start_vllm(
                self.processes, self.settings.engine_python, model, cores=self.cores.all
            )
            for tier, model in self.settings.family.items()
        }
        for engine in engines.values():
            wait_for_engine(engine, self.cores.others, self.progress)
        return engines

    def measure_vllm(self, engine: Process, gateway: Process) -> Comparisons:
        model = self.settings.family["cloud"].name
        return self.repeat(
            vllm_scenarios.scenarios(EngineAndGateway(engine, gateway), model, self.plan)
        )

    def measure_speeds(self, gateway: Process) -> dict[str, list[Speed]]:
        """By tier, a speed for each repetition."""
        models = {tier: folder.name for tier, folder in self.settings.family.items()}
        count, repetitions = self.plan.questions, self.plan.repetitions
        drawn = held_out(self.settings.engine_python, count * repetitions)
        questions = [question.prompt for question in drawn]
        speeds: dict[str, list[Speed]] = {tier: [] for tier in models}
        for number in range(repetitions):
            self.progress(f"speed of the three sizes, {number + 1} of {repetitions}")
            part = questions[number * count : (number + 1) * count]
            with on_cores(self.cores.others):
                measured = family_sizes.measure_speeds(gateway.target, models, part)
            for tier, speed in measured.items():
                speeds[tier].append(speed)
        return speeds

    def measure_quality(self) -> Quality:
        self.progress(f"accuracy over {self.plan.examples} held-out questions per size")
        return evaluate(
            self.processes,
            self.settings.engine_python,
            family=self.settings.family["cloud"].parent,
            examples=self.plan.examples,
            cores=self.cores.all,
        )

    def write_results(self, canned: Comparisons, vllm: Comparisons, sizes: Sequence[Size]) -> None:
        model = self.settings.family["cloud"].name
        heads = {"baseline": "direct", "candidate": "through the gateway"}
        tables = [
            table("overhead", "Before an engine that answers at once", canned.values(), **heads),
            table("vllm", f"Before vLLM with {model}", vllm.values(), **heads),
            family_sizes.table(sizes),
        ]
        notes = {
            "gateway": versions(("uvicorn", "uvloop", "httptools", "aiohttp")),
            "repetitions": str(self.plan.repetitions),
            "held-out questions": str(self.plan.examples),
        }
        plotted = {
            "time of an answer, c=1": canned[canned_scenarios.ADDED_LATENCY],
            "TTFT of a stream, c=1": canned[canned_scenarios.TTFT],
            f"streams, c={canned_scenarios.CONCURRENCY}": canned[canned_scenarios.STREAMS],
            f"vLLM streams, c={vllm_scenarios.CONCURRENCY}": vllm[vllm_scenarios.RATE],
        }
        self.write(tables, notes)
        plots.plot_overhead(plotted, self.settings.results / "bench-overhead.png")
        plots.plot_quality(sizes, self.settings.results / "bench-quality.png")
        self.progress(f"tables and plots are in {self.settings.results}")


def _compared(comparison: Comparison) -> float | None:
    return comparison.compared.median if comparison.compared else None
