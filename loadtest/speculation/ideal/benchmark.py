"""How near drafts at acceptance 0.8 come to the ideal race, at the engine's own step and longer.

More such cells are part of `make bench-speculation`, among much else.
"""

from __future__ import annotations

from collections.abc import Mapping

from loadtest.measure.benchmark import Benchmark
from loadtest.measure.family import held_out
from loadtest.speculation import report
from loadtest.speculation.plan import (
    CANDIDATES,
    QUICK_STEPS,
    ROUND_TRIPS_MS,
    SLOW_DRAFT_MS,
    SpeculationPlan,
    step_plan,
)
from loadtest.speculation.steps import StepBenchmark

FULL = SpeculationPlan(
    links=(),
    prompts=36,
    questions=0,
    warm_up=3,
    least_rounds=10,
    sweep_every=4,
    budget_s=0.0,
    steps=[
        step_plan(0.0, ROUND_TRIPS_MS, seconds=28.0),
        step_plan(25.0, (20, 50, 100), seconds=24.0, draft_ms=SLOW_DRAFT_MS),
    ],
)
QUICK = SpeculationPlan(
    links=(),
    prompts=13,
    questions=0,
    warm_up=2,
    least_rounds=4,
    sweep_every=2,
    budget_s=0.0,
    steps=QUICK_STEPS,
)


class IdealBenchmark(Benchmark[SpeculationPlan]):
    """The benchmark of the share of the ideal race."""

    name = "ideal"
    least_cores = 2
    engines = 2

    def measure(self) -> Mapping[str, float | None]:
        """Everything; gives the figures of the final line. Raises BenchmarkFailure."""
        steps = StepBenchmark(
            settings=self.settings,
            cores=self.cores,
            progress=self.progress,
            questions=held_out(self.settings.engine_python, CANDIDATES),
        )
        for step in self.plan.steps:
            steps.measure(step)
        self.write([report.steps(steps.comparisons)], {})
        drafted = [sample for sample in steps.samples if sample.drafts]
        return {
            **report.ideal_figures(steps.comparisons),
            "mismatches": sum(not sample.exact for sample in drafted),
        }
