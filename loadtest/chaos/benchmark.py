"""The order of one run: right answers, a calm time, the faults, the verdicts, the report."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from time import monotonic

from loadtest.callers.crowd import Crowd
from loadtest.callers.questions import KINDS, Kind, Question, with_answers
from loadtest.chaos.engines import CLOUD, EDGE, simulated_engines, start_reference, vllm_engines
from loadtest.chaos.gateway_watch import GatewayWatch
from loadtest.chaos.outcomes import (
    ChaosResult,
    outcome_of,
    table_of_failures,
    table_of_faults,
    table_of_kinds,
)
from loadtest.chaos.plan import ChaosPlan
from loadtest.chaos.plots import plot_timeline
from loadtest.chaos.report import write_report
from loadtest.chaos.schedule import run_phases
from loadtest.chaos.testbed import Engine, Testbed
from loadtest.measure.benchmark import Benchmark
from loadtest.measure.closed_loop import run
from loadtest.measure.machine import describe_machine

LOOK_EVERY_S = 1.0


class ChaosRun(Benchmark[ChaosPlan]):
    """A run of faults under load whose every answer is compared with the right one.

    `family` is the gateway's setting of that name.
    """

    family: Sequence[str]

    @abstractmethod
    def start_engines(self) -> list[Engine]:
        """The engines of the pools; the testbed starts them."""

    @abstractmethod
    def questions(self) -> list[Question]:
        """What callers ask, with the right answers."""

    def measure(self) -> Mapping[str, float | None]:
        """Everything; gives the figures of the final line. Raises BenchmarkFailure."""
        result = run(self.observe())
        figures = result.figures()
        self.exit_code = 0 if result.passed else 1
        self._write(result, figures)
        return figures

    async def observe(self) -> ChaosResult:
        """The calm time and the faults, with what became of every call. Raises BenchmarkFailure."""
        testbed = Testbed(
            processes=self.processes,
            engines=self.start_engines(),
            settings={"family": list(self.family)},
            logs=self.settings.logs,
            cores=self.cores.all,
            replicas=self.plan.replicas,
        )
        self.progress("starting engines, Redis, and the gateway's replicas")
        async with testbed.running():
            questions = await asyncio.to_thread(self.questions)
            crowd = Crowd(questions, target=testbed.target, lossy=testbed.lossy)
            async with _watching(testbed) as watch:
                start = monotonic()
                phases = self.plan.phases(self.plan)
                spans = await run_phases(phases, testbed, crowd, self.progress)
                self.progress("waiting for the last answers")
                await crowd.leave()
                watch.look(testbed.gateways)
        losses = [loss for part in testbed.replicas for loss in part.kills]
        self.progress(f"comparing {len(crowd.calls)} answers with the right ones")
        return ChaosResult(
            outcomes=[outcome_of(call, spans, losses, crowd.sizes) for call in crowd.calls],
            spans=spans,
            processes=list(watch.processes.series.values()),
            survivors=[gateway.pid for gateway in testbed.gateways],
            continued=watch.continued,
            start=start,
        )

    def _write(self, result: ChaosResult, figures: Mapping[str, float | None]) -> None:
        tables = [
            table_of_faults(result.outcomes, result.spans),
            table_of_kinds(result.outcomes),
            table_of_failures(result.outcomes, result.start),
        ]
        notes = {
            "callers": f"{self.plan.callers}, {self.plan.crowd or self.plan.callers} at most",
            "replicas of the gateway": f"{self.plan.replicas}, with the settings as shipped",
        }
        self.write(tables, notes)
        folder = self.settings.results
        picture = plot_timeline(
            folder / f"{self.name}-timeline.png",
            spans=result.spans,
            outcomes=result.outcomes,
            processes=result.processes,
            start=result.start,
        )
        page = write_report(
            folder / f"{self.name}.html",
            title="Faults under load",
            figures=figures,
            passed=result.passed,
            notes={**describe_machine(), **notes},
            tables=tables,
            picture=picture,
        )
        self.progress(f"the report is {page}")


@asynccontextmanager
async def _watching(testbed: Testbed) -> AsyncIterator[GatewayWatch]:
    """The replicas' memory and counters, each second until the block ends."""
    watch = GatewayWatch()

    async def look() -> None:
        while True:
            await asyncio.to_thread(watch.look, testbed.gateways)
            await asyncio.sleep(LOOK_EVERY_S)

    task = asyncio.create_task(look())
    try:
        yield watch
    finally:
        task.cancel()


class SimulatedChaos(ChaosRun):
    """A run with simulated engines: many streams, and engines that fail on command."""

    name = "chaos"
    engines = 0
    family = (EDGE, CLOUD)

    def start_engines(self) -> list[Engine]:
        return simulated_engines(self.processes, self.plan, self.cores.all)

    def questions(self) -> list[Question]:
        reference = start_reference(self.processes, self.cores.all)
        found = with_answers(
            reference.url, model=EDGE, count=self.plan.questions, tokens=self.plan.tokens
        )
        self.processes.stop(reference)
        return found


class VllmChaos(ChaosRun):
    """A smaller run with real engines of one model, which answer greedily in float32."""

    name = "chaos-vllm"
    engines = 2
    family = (EDGE,)

    def start_engines(self) -> list[Engine]:
        self._engines = vllm_engines(
            self.processes,
            self.settings.engine_python,
            self.settings.family["edge"],
            self.cores.all,
        )
        return self._engines

    def questions(self) -> list[Question]:
        return with_answers(
            self._engines[0].part.running.url,
            model=EDGE,
            count=self.plan.questions,
            tokens=self.plan.tokens,
            kinds=[kind for kind in KINDS if _is_greedy_chat(kind)],
        )


def _is_greedy_chat(kind: Kind) -> bool:
    """vLLM gives no second greedy choice, and ends a response only where the model does."""
    return kind.continues
