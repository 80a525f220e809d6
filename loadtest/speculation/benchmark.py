"""The order of one run: processes, prompts, links, tiers, results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import monotonic

from loadtest.link.control import Control
from loadtest.measure.benchmark import Benchmark
from loadtest.measure.command import Progress
from loadtest.measure.family import Question, held_out, longest_first
from loadtest.measure.processes import Processes, on_cores
from loadtest.measure.results import Table
from loadtest.measure.settings import Settings
from loadtest.speculation import percentiles, plots, report, tiers, warm_up
from loadtest.speculation.comparisons import compare_link
from loadtest.speculation.engines import start_engines
from loadtest.speculation.links import Prompt, measure_link
from loadtest.speculation.plan import DIRECT, DRAFTERS, NATURAL, SpeculationPlan, seconds_for
from loadtest.speculation.report import Measurements
from loadtest.speculation.testbed import Testbed

CANDIDATES = 900
"""Held-out questions of which the prompts are chosen."""


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
            self.progress("choosing prompts")
            prompts = warm_up.choose_prompts(
                testbed.targets[DIRECT], longest_first(questions), self.plan.prompts
            )
            natural, spoil = self.start_agents(testbed, prompts)
            with Control(testbed.control_port) as control:
                measurements = self.measure_links(testbed, control, prompts)
                learned = {
                    drafter: warm_up.learned_acceptance(agent)
                    for drafter, agent in testbed.agents.items()
                }
                for_tiers = questions[: self.plan.questions]
                results = self.measure_tiers(testbed, control, prompts[0].text, for_tiers)
        tables = [
            report.ratios(measurements.comparisons),
            percentiles.table(percentiles.tpot_percentiles(measurements.links)),
            report.windows(measurements.comparisons),
            report.drafters(natural, spoil, learned),
            tiers.table(results, len(for_tiers)),
        ]
        self.write_results(
            measurements, tables, report.notes(testbed, prompts, measurements.comparisons)
        )
        exact, mismatches = report.exactness(measurements.samples, results, len(for_tiers))
        speedup = results["device-edge"].speedup
        return report.final_figures(
            measurements.comparisons,
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

    def start_agents(
        self, testbed: Testbed, prompts: Sequence[Prompt]
    ) -> tuple[float, dict[str, float]]:
        """The natural drafter's acceptance, and how often the others' drafts are replaced."""
        model = self.settings.family["device"]
        testbed.start_agent(NATURAL, 0.0, model)
        natural = warm_up.natural_acceptance(testbed.agents[NATURAL].target, prompts)
        self.progress(f"the natural drafter's acceptance is {natural:.3f}")
        spoil = warm_up.spoil_for(natural)
        for drafter, share in spoil.items():
            testbed.start_agent(drafter, share, model)
        warm_up.wait_for_agents(testbed.agents, prompts[0].text)
        return natural, spoil

    def measure_links(
        self, testbed: Testbed, control: Control, prompts: Sequence[Prompt]
    ) -> Measurements:
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
                link, self.plan, testbed=testbed, prompts=prompts, seconds=seconds
            )
            comparisons = compare_link(link, samples)
            for comparison in comparisons:
                if comparison.adaptive:
                    self.progress(f"  {comparison.name}: ratio {comparison.ratio.median:.2f}")
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


def set_link(control: Control, round_trip_ms: float, rate_mb_s: float) -> None:
    control.ask(delay_ms=round_trip_ms / 2, jitter_ms=0, rate_mb_s=rate_mb_s, stall=None)
