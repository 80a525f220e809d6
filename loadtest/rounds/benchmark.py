"""The order of one run: an engine for each step time, its gateways, every cell, results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from loadtest.measure.benchmark import Benchmark
from loadtest.measure.closed_loop import run
from loadtest.measure.command import BenchmarkFailure
from loadtest.measure.family import held_out
from loadtest.measure.machine import versions
from loadtest.measure.processes import on_cores
from loadtest.rounds import report
from loadtest.rounds.measurement import CellResult, measure_cell
from loadtest.rounds.plan import RoundsPlan
from loadtest.rounds.plots import plot_choices
from loadtest.rounds.testbed import RoundsTestbed

QUESTIONS = 80
"""Whose texts, one after another, are the prompts."""


class RoundsBenchmark(Benchmark[RoundsPlan]):
    """The benchmark of rounds of drafts at a stock engine, against its plain stream."""

    name = "rounds"
    least_cores = 2
    engines = 1

    def measure(self) -> Mapping[str, float | None]:
        """Everything; gives the figures of the final line. Raises BenchmarkFailure."""
        questions = held_out(self.settings.engine_python, QUESTIONS)
        text = "\n".join(question.prompt for question in questions)
        results: list[CellResult] = []
        for step_ms in self.plan.steps_ms:
            results += self._measure_engine(step_ms, text)
        self.write(
            [report.table(results)],
            {
                "gateway": versions(("uvicorn", "uvloop", "aiohttp")),
                "repetitions": str(self.plan.repetitions),
            },
        )
        plot_choices(results, self.settings.results / "rounds.png")
        self.progress(f"table and plot are in {self.settings.results}")
        return report.final_figures(results)

    def _measure_engine(self, step_ms: int, text: str) -> Sequence[CellResult]:
        named = f"a step of at least {step_ms} ms" if step_ms else "its own step"
        self.progress(f"starting a stock vLLM with {named}")
        testbed = RoundsTestbed.start(
            self.processes,
            python=self.settings.engine_python,
            model=self.settings.family["cloud"],
            step_ms=step_ms,
            most_drafts=self.plan.most_drafts,
            cores=self.cores,
            folder=self.settings.logs,
            progress=self.progress,
        )
        try:
            with on_cores(self.cores.measured):
                return self._measure_cells(testbed, step_ms, text)
        finally:
            testbed.stop(self.processes)

    def _measure_cells(
        self, testbed: RoundsTestbed, step_ms: int, text: str
    ) -> Sequence[CellResult]:
        ids = run(testbed.tokenize(text))
        if len(ids) < max(self.plan.contexts):
            raise BenchmarkFailure(f"the prompts have only {len(ids)} tokens")
        results = []
        cells = list(self.plan.cells())
        for number, cell in enumerate(cells):
            testbed.set_round_trip(cell.round_trip_ms)
            result = run(
                measure_cell(testbed, self.plan, cell, step_ms, prompt=ids[: cell.context])
            )
            self.progress(f"{number + 1} of {len(cells)}: {report.line(result)}")
            results.append(result)
        return results
