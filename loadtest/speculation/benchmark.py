"""The order of one run: processes, prompts, links, tiers, results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import monotonic

from loadtest.link.control import Control
from loadtest.measure.benchmark import Benchmark
from loadtest.measure.command import Progress
from loadtest.measure.family import Question, held_out
from loadtest.measure.processes import Processes, on_cores
from loadtest.measure.results import Table
from loadtest.measure.settings import Settings
from loadtest.speculation import percentiles, plots, report, tiers, warm_up
from loadtest.speculation.comparisons import compare_link
from loadtest.speculation.engines import start_engines
from loadtest.speculation.links import measure_link
from loadtest.speculation.plan import CANDIDATES, DRAFTERS, NATURAL, SpeculationPlan, seconds_for
from loadtest.speculation.report import Measurements
from loadtest.speculation.steps import Prepared, StepBenchmark, prepare, told
from loadtest.speculation.testbed import Testbed, set_link


class SpeculationBenchmark(Benchmark[SpeculationPlan]):
    """The benchmark of drafts from a device: every link, against server-only streaming."""

    name = "speculation"
    least_cores = 2
    engines = 5

    def __init__(
        self, settings: Settings[SpeculationPlan], processes: Processes, progress: Progress
    ) -> None:
        super().__init__(settings, processes, progress)
        self.start = monotonic()

    def measure(self) -> Mapping[str, float | None]:
        """Everything; gives the figures of the final line. Raises BenchmarkFailure."""
        questions = held_out(self.settings.engine_python, CANDIDATES)
        testbed = self.start_testbed()
        with on_cores(self.cores.measured):
            testbed.start_agent(NATURAL, 0.0, self.settings.family["device"])
            prepared = prepare(testbed, questions, self.plan, self.progress)
            prompts = prepared.prompts
            self.start_agents(testbed, prepared)
            with Control(testbed.control_port) as control:
                measurements = self.measure_links(testbed, control, prepared)
                learned = {
                    drafter: warm_up.learned_acceptance(agent)
                    for drafter, agent in testbed.agents.items()
                }
                for_tiers = questions[: self.plan.questions]
                results = self.measure_tiers(testbed, control, prompts[0].text, for_tiers)
        steps = self.measure_steps(testbed, questions, prepared)
        measurements.steps += steps.comparisons
        tables = [
            report.ratios(measurements.comparisons),
            report.steps(measurements.steps),
            percentiles.table(percentiles.tpot_percentiles(measurements.links)),
            report.windows(measurements.comparisons),
            report.drafters(prepared, learned),
            tiers.table(results, len(for_tiers)),
        ]
        self.write_results(
            measurements, tables, report.notes(testbed, prompts, measurements.comparisons)
        )
        samples = [*measurements.samples, *steps.samples]
        exact, mismatches = report.exactness(samples, results, len(for_tiers))
        speedup = results["device-edge"].speedup
        return report.final_figures(
            measurements.comparisons,
            measurements.steps,
            step_ms=measurements.step_ms,
            exact_prompts=exact,
            mismatches=mismatches,
            device_edge_speedup=speedup.median if speedup else None,
        )

    def start_testbed(self) -> Testbed:
        """Engines, gateways and links; no agent runs yet."""
        self.progress("starting five vLLM engines")
        engines = start_engines(
            self.processes,
            self.settings.engine_python,
            self.settings.family,
            cores=self.cores,
            progress=self.progress,
        )
        return Testbed.start(
            self.processes,
            engines,
            cores=self.cores.measured,
            folder=self.settings.logs,
            drafters=DRAFTERS,
        )

    def start_agents(self, testbed: Testbed, prepared: Prepared) -> None:
        """All but the natural one, which runs already."""
        for drafter, share in prepared.spoil.items():
            if drafter != NATURAL:
                testbed.start_agent(drafter, share, self.settings.family["device"])
        warm_up.wait_for_agents(testbed.agents, prepared.prompts[0].text)

    def measure_links(self, testbed: Testbed, control: Control, prepared: Prepared) -> Measurements:
        measurements = Measurements()
        count = len(self.plan.links)
        for number, link in enumerate(self.plan.links):
            self.progress(f"link {number + 1} of {count}: {link.name}")
            set_link(control, link.round_trip_ms, link.rate_mb_s)
            seconds = seconds_for(
                link,
                self.plan,
                passed_s=monotonic() - self.start,
                remaining_links=count - number,
            )
            samples = measure_link(
                link, self.plan, testbed=testbed, prompts=prepared.prompts, seconds=seconds
            )
            drafters = {
                drafter: prepared.drafter(drafter, warm_up.draft_time_s(agent))
                for drafter, agent in testbed.agents.items()
            }
            comparisons = compare_link(link, samples, drafters)
            for comparison in comparisons:
                if comparison.adaptive:
                    self.progress(f"  {told(comparison)}")
            measurements.add(link, samples, comparisons)
        return measurements

    def measure_tiers(
        self, testbed: Testbed, control: Control, prompt: str, questions: Sequence[Question]
    ) -> tiers.Tiers:
        self.progress(f"tiers alone and together, {len(questions)} questions")
        set_link(control, tiers.ROUND_TRIP_MS, tiers.RATE_MB_S)
        warm_up.wait_for_pools((testbed.baseline, testbed.drafting))
        warm_up.wait_for_agents(testbed.agents, prompt)
        return tiers.compare(tiers.measure(testbed, questions), questions)

    def measure_steps(
        self, testbed: Testbed, questions: Sequence[Question], prepared: Prepared
    ) -> StepBenchmark:
        """The emulated steps, once the other engines have ended. Raises BenchmarkFailure."""
        for engine in testbed.engines.all:
            self.processes.stop(engine)
        steps = StepBenchmark(
            settings=self.settings,
            cores=self.cores,
            progress=self.progress,
            questions=questions,
            prepared=prepared,
        )
        for step in self.plan.steps:
            steps.measure(step)
        return steps

    def write_results(
        self, measurements: Measurements, tables: Sequence[Table], notes: Mapping[str, str]
    ) -> None:
        folder = self.settings.results
        self.write(tables, notes)
        plots.plot_ratios(measurements.comparisons, folder / "speculation-ratios.png")
        plots.plot_windows(
            measurements.comparisons, measurements.server, folder / "speculation-windows.png"
        )
        self.progress(f"tables and plots are in {folder}")
