"""The order of one run: engines and sites for each phase, its cells, results."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.protocol.virtual_models import ON_DEVICE
from loadtest.measure.benchmark import Benchmark
from loadtest.measure.command import Progress
from loadtest.measure.family import Question, held_out, longest_first
from loadtest.measure.processes import Processes, on_cores
from loadtest.measure.servers import step_wait
from loadtest.measure.settings import Settings
from loadtest.speculation import warm_up
from loadtest.speculation.engines import Engines, start_engines
from loadtest.speculation.links import Prompt
from loadtest.tiers import plots, report
from loadtest.tiers.comparisons import WayResult, compare_cell
from loadtest.tiers.plan import NEAR_ROUND_TRIP_MS, TABLE, Cell, Phase, TiersPlan
from loadtest.tiers.rounds import measure_cell
from loadtest.tiers.testbed import Testbed, set_link
from loadtest.tiers.ways import ACCEPTANCES, MODELS, NATURAL

CANDIDATES = 900
"""Held-out questions of which those with long answers are chosen."""


class TiersBenchmark(Benchmark[TiersPlan]):
    """The benchmark of the tiers: each alone, two and three together, at each link to the cloud."""

    name = "tiers"
    least_cores = 2
    engines = 5

    def __init__(
        self, settings: Settings[TiersPlan], processes: Processes, progress: Progress
    ) -> None:
        super().__init__(settings, processes, progress)
        self.questions: list[Question] = []
        self.long: list[Question] = []
        self.prompts: list[Prompt] = []
        self.natural = 0.0

    def measure(self) -> Mapping[str, float | None]:
        """Everything; gives this part's figures of the final line. Raises BenchmarkFailure."""
        self.questions = held_out(self.settings.engine_python, CANDIDATES)
        results = [result for phase in self.plan.phases for result in self.measure_phase(phase)]
        self.write(report.tables(results), report.notes(self.natural, self.spoil(), len(self.long)))
        folder = self.settings.results
        plots.plot(results, folder)
        self.progress(f"tables and plots are in {folder}")
        return report.figures(results)

    def measure_phase(self, phase: Phase) -> list[WayResult]:
        """Every cell of the phase, with engines and sites of its own. Raises BenchmarkFailure."""
        self.progress(f"{phase.name}: starting {5 if self.plan.colocated else 4} vLLM engines")
        logs = self.settings.logs / ("emulated" if phase.steps_ms else "real")
        with Processes(logs) as processes:
            engines = start_engines(
                processes,
                self.settings.engine_python,
                self.settings.family,
                cores=self.cores,
                progress=self.progress,
                environments={tier: step_wait(ms) for tier, ms in phase.steps_ms.items()},
                colocated=self.plan.colocated,
            )
            with on_cores(self.cores.measured):
                self.choose_questions(engines)
                testbed = Testbed.start(
                    processes,
                    engines,
                    cores=self.cores.measured,
                    folder=logs,
                    drafters=phase.drafters,
                )
                self.start_agents(testbed, phase)
                return [
                    result
                    for cell in phase.cells
                    for result in self.measure_cell(testbed, phase, cell)
                ]

    def choose_questions(self, engines: Engines) -> None:
        """Those with long answers, once: they are the same in every phase."""
        if self.long:
            return
        self.progress("choosing questions with long answers")
        by_prompt = {question.prompt: question for question in self.questions}
        prompts = warm_up.choose_prompts(
            engines.plain["cloud"].target, longest_first(self.questions), self.plan.prompts
        )
        self.prompts = prompts
        self.long = [by_prompt[prompt.text] for prompt in prompts]

    def start_agents(self, testbed: Testbed, phase: Phase) -> None:
        """A device for each drafter, the natural one first: the others are spoiled from there."""
        model = self.settings.family["device"]
        testbed.start_agent(NATURAL, 0.0, model)
        if not self.natural:
            agent = testbed.agents[NATURAL].target
            self.natural = warm_up.natural_acceptance(agent, self.prompts)
            self.progress(f"the natural drafter's acceptance is {self.natural:.3f}")
        for drafter, share in self.spoil().items():
            if drafter in phase.drafters:
                testbed.start_agent(drafter, share, model)
        models = sorted({MODELS[way.name] for way in phase.ways if way.drafter} - {ON_DEVICE})
        warm_up.wait_for_agents(testbed.agents, self.long[0].prompt, models)

    def spoil(self) -> dict[str, float]:
        """By drafter, the share of its drafts to replace."""
        return {
            name: warm_up.share_for(acceptance, self.natural)
            for name, acceptance in ACCEPTANCES.items()
        }

    def measure_cell(self, testbed: Testbed, phase: Phase, cell: Cell) -> list[WayResult]:
        self.progress(f"{phase.name}, {cell.name}")
        set_link(testbed.far, cell.round_trip_ms or NEAR_ROUND_TRIP_MS)
        warm_up.wait_for_pools(testbed.gateways.values())
        testbed.wait_for_round_trip(cell.round_trip_ms or NEAR_ROUND_TRIP_MS)
        answers = measure_cell(
            cell,
            testbed=testbed,
            questions=self.questions[: self.plan.questions] if cell.kind == TABLE else self.long,
            plan=self.plan,
            cores=self.cores,
        )
        results = compare_cell(phase, cell, answers)
        for result in results:
            if result.speedup is not None and result.tpot_ratio is not None:
                self.progress(
                    f"  {result.way.label}: {result.speedup.median:.2f} × its verifier alone, "
                    f"TPOT {result.tpot_ratio.median:.2f} ×"
                )
        return results
