"""Links by the step of their engines: emulated ones, as of larger models, or the real one.

Each step has engines, gateways and devices of its own, which end with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gateway.protocol.virtual_models import DEVICE_CLOUD
from loadtest.link.control import Control
from loadtest.measure.command import Progress
from loadtest.measure.family import Question, longest_first
from loadtest.measure.processes import Cores, Process, Processes, on_cores
from loadtest.measure.servers import step_wait
from loadtest.measure.settings import Settings
from loadtest.speculation import warm_up
from loadtest.speculation.agreements import DrafterAgreements, acceptance, agreements
from loadtest.speculation.comparisons import LinkComparison, compare_link
from loadtest.speculation.engines import Engines, start_engines
from loadtest.speculation.links import Prompt, Sample, measure_link
from loadtest.speculation.plan import (
    A80,
    DIRECT,
    NATURAL,
    LinkPlan,
    SpeculationPlan,
    StepPlan,
)
from loadtest.speculation.testbed import Testbed, set_link


@dataclass(frozen=True, slots=True)
class Prepared:
    """The prompts of a run, and what the natural drafter guesses right of their answers."""

    prompts: Sequence[Prompt]
    hits: warm_up.Hits

    @property
    def spoil(self) -> dict[str, float]:
        """By drafter, the share of the natural one's guesses to replace."""
        natural = warm_up.share_of_hits(self.hits)
        return {NATURAL: 0.0, **warm_up.spoil_for(natural)}

    def acceptance(self, name: str) -> float:
        """How often a drafter is right over the prompts' answers, 0 to 1."""
        return acceptance(self.drafter(name, 0.0).answers)

    def drafter(self, name: str, draft_s: float) -> DrafterAgreements:
        share = {name: self.spoil[name]}
        return DrafterAgreements(
            answers=agreements(self.prompts, self.hits, share)[name], draft_s=draft_s
        )


@dataclass(slots=True, kw_only=True)
class StepBenchmark:
    """The part of a run that measures `StepPlan`s. `prepared` comes from its first one, unless it
    is given."""

    settings: Settings[SpeculationPlan]
    cores: Cores
    progress: Progress
    questions: Sequence[Question]
    prepared: Prepared | None = None
    comparisons: list[LinkComparison] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)

    def measure(self, step: StepPlan) -> None:
        """All links of one step. Raises BenchmarkFailure."""
        self.progress(f"{step.name}: starting two vLLM engines")
        logs = self.settings.logs / step.name.replace(" ", "-")
        logs.mkdir(parents=True, exist_ok=True)
        with Processes(logs) as processes:
            engines = start_engines(
                processes,
                self.settings.engine_python,
                self.settings.family,
                cores=self.cores,
                progress=self.progress,
                environments={"cloud": step_wait(step.step_ms)},
                tiers=("cloud",),
                colocated=False,
            )
            with on_cores(self.cores.measured):
                testbed = self._testbed(processes, engines, logs)
                prepared = self._prepare(testbed)
                self._start_agent(testbed, prepared, step)
                with Control(testbed.control_port) as control:
                    for link in step.links:
                        self.progress(link.name)
                        set_link(control, link.round_trip_ms, link.rate_mb_s)
                        samples = measure_link(
                            link,
                            self.settings.plan,
                            testbed=testbed,
                            prompts=prepared.prompts,
                            seconds=link.seconds,
                        )
                        self._compare(link, samples, testbed.agents[A80])

    def _testbed(self, processes: Processes, engines: Engines, logs: Path) -> Testbed:
        drafters = (A80,) if self.prepared else (NATURAL, A80)
        return Testbed.start(
            processes, engines, cores=self.cores.measured, folder=logs, drafters=drafters
        )

    def _prepare(self, testbed: Testbed) -> Prepared:
        """Prompts and hits, once: they are the same for every step."""
        if self.prepared is None:
            testbed.start_agent(NATURAL, 0.0, self.settings.family["device"])
            self.prepared = prepare(testbed, self.questions, self.settings.plan, self.progress)
        return self.prepared

    def _start_agent(self, testbed: Testbed, prepared: Prepared, step: StepPlan) -> None:
        model = self.settings.family["device"]
        testbed.start_agent(A80, prepared.spoil[A80], model, step.draft_ms)
        question = prepared.prompts[0].text
        warm_up.wait_for_agents({A80: testbed.agents[A80]}, question, (DEVICE_CLOUD,))

    def _compare(self, link: LinkPlan, samples: list[Sample], agent: Process) -> None:
        assert self.prepared is not None
        drafter = self.prepared.drafter(A80, warm_up.draft_time_s(agent))
        comparisons = compare_link(link, samples, {A80: drafter})
        for each in comparisons:
            if each.adaptive:
                self.progress(f"  {told(each)}")
        self.comparisons += comparisons
        self.samples += samples


def prepare(
    testbed: Testbed, questions: Sequence[Question], plan: SpeculationPlan, progress: Progress
) -> Prepared:
    """What every link needs; the natural drafter's agent must run. Raises BenchmarkFailure."""
    progress("choosing prompts")
    direct = testbed.targets[DIRECT]
    prompts = warm_up.choose_prompts(direct, longest_first(questions), plan.prompts)
    hits = warm_up.natural_hits(testbed.agents[NATURAL].target, prompts)
    prepared = Prepared(prompts, hits)
    progress(f"the natural drafter's acceptance is {warm_up.share_of_hits(hits):.3f}")
    return prepared


def told(comparison: LinkComparison) -> str:
    """One line of progress about a variant on a link."""
    ratio = f"{comparison.name}: ratio {comparison.ratio.median:.2f}"
    if comparison.share is None:
        return ratio
    return f"{ratio}, {comparison.share.median:.2f} of the ideal race's {comparison.ideal:.2f}"
