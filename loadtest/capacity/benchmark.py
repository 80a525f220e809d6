"""The order of one run: engines, references, loads, results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from loadtest.capacity import report
from loadtest.capacity.comparisons import Cell, compare, figures
from loadtest.capacity.engines import CapacityEngines
from loadtest.capacity.load import LoadFigures, Reference, ask_references, measure_load
from loadtest.capacity.plan import PLAIN, CapacityPlan, Variant
from loadtest.measure.benchmark import Benchmark
from loadtest.measure.family import held_out, longest_first
from loadtest.measure.processes import on_cores
from loadtest.measure.repetitions import interleaved

CANDIDATES = 400
"""Held-out questions of which those with the longest answers are asked."""


class CapacityBenchmark(Benchmark[CapacityPlan]):
    """The benchmark of one engine under load, with devices that draft and without."""

    name = "capacity"
    least_cores = 2
    engines = 3

    def measure(self) -> Mapping[str, float | None]:
        """Raises BenchmarkFailure."""
        questions = longest_first(held_out(self.settings.engine_python, CANDIDATES))
        asked = [question.prompt for question in questions[: self.plan.questions]]
        cells = [cell for step_ms in self.plan.steps_ms for cell in self._measure(step_ms, asked)]
        comparisons = compare(cells)
        self.write([report.table(comparisons)], report.notes(self.plan))
        report.plot(comparisons, self.settings.results / "capacity.png")
        return figures(cells)

    def _measure(self, step_ms: float, questions: Sequence[str]) -> list[Cell]:
        """All loads with steps of at least so long."""
        self.progress(f"starting engines, steps of {step_ms:g} ms and more")
        engines = CapacityEngines.start(
            self.processes,
            self.settings.engine_python,
            self.settings.family["cloud"],
            cores=self.cores,
            choices=self.plan.choices,
            step_ms=step_ms,
            progress=self.progress,
        )
        try:
            with on_cores(self.cores.measured):
                with engines.alone(PLAIN) as target:
                    self.progress(f"asking {len(questions)} questions, each alone")
                    references = ask_references(target, questions, self.plan)
                return [
                    cell
                    for sessions in self.plan.sessions
                    for cell in self._loads(engines, references, step_ms, sessions)
                ]
        finally:
            engines.stop()

    def _loads(
        self,
        engines: CapacityEngines,
        references: Sequence[Reference],
        step_ms: float,
        sessions: int,
    ) -> list[Cell]:
        def load(variant: Variant) -> LoadFigures:
            with engines.alone(variant.choice) as target:
                found = measure_load(
                    target, references, self.plan, sessions=sessions, variant=variant
                )
            self.progress(
                f"  {found.tokens_per_s:.0f} tokens/s, p95 TPOT {1e3 * found.p95_tpot:.1f} ms"
            )
            return found

        variants = {variant.name: variant for variant in self.plan.variants}
        loads = interleaved(
            self.plan.repetitions,
            {name: partial(load, variant) for name, variant in variants.items()},
            lambda name: self.progress(f"{sessions} sessions, {name}"),
        )
        return [
            Cell(step_ms=step_ms, sessions=sessions, variant=variants[name], loads=measured)
            for name, measured in loads.items()
        ]
