"""The order of one run: processes, prompts, links, tiers, results."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from time import monotonic

from loadtest.bench.preflight import check_memory, engine_versions
from loadtest.link.control import Control
from loadtest.measure.cores import Cores, on_cores
from loadtest.measure.machine import describe_machine
from loadtest.measure.processes import Processes
from loadtest.measure.progress import Progress
from loadtest.measure.results import Table, final_line, write
from loadtest.speculation import parts as processes_of
from loadtest.speculation import plots, preparing, report, stops, tails, tiers
from loadtest.speculation.cells import cells_of, server_spread
from loadtest.speculation.engines import start_engines
from loadtest.speculation.parts import Parts
from loadtest.speculation.plan import DRAFTERS, NATURAL, RATE_MB_S, seconds_for
from loadtest.speculation.questions import held_out, longest_first
from loadtest.speculation.settings import COMMAND, Settings, check_cores
from loadtest.speculation.stops import Prompt
from loadtest.speculation.summary import Found, compared, notes

ENGINES = 5
CANDIDATES = 900


class Bench:
    """One run: what is started, on which cores, and what is told meanwhile."""

    def __init__(self, settings: Settings, processes: Processes, progress: Progress) -> None:
        self.plan = settings.plan
        self.common = settings.common
        self.processes = processes
        self.progress = progress
        self.folder = settings.common.results / "logs"
        self.began = monotonic()

    def run(self) -> str:
        """Everything; gives the final line. Raises BenchmarkFailure."""
        check_cores(os.sched_getaffinity(0))
        check_memory(ENGINES)
        engine = engine_versions(self.common.engine_python, COMMAND)
        self.cores = Cores.split(os.sched_getaffinity(0))
        questions = held_out(self.common.engine_python, CANDIDATES)
        parts = self.start()
        with on_cores(self.cores.measured):
            self.progress("choosing prompts")
            prompts = preparing.choose_prompts(parts, longest_first(questions), self.plan.prompts)
            natural, spoil = self.start_agents(parts, prompts)
            with Control(parts.control_port) as control:
                found = self.links(parts, control, prompts)
                learned = {n: preparing.learned_acceptance(a) for n, a in parts.agents.items()}
                self.progress(f"tiers alone and together, {self.plan.questions} questions")
                set_link(control, tiers.ROUND_TRIP_MS, tiers.RATE_MB_S)
                preparing.wait_for_pools(parts)
                preparing.wait_for_links(parts, prompts[0].text)
                asked = questions[: self.plan.questions]
                answered = tiers.measure(parts, asked)
        rows = tiers.compare(answered, asked)
        tables = [
            report.ratios(found.cells),
            tails.table(tails.tails(found.links)),
            report.windows(found.cells),
            report.drafters(natural, spoil, learned),
            tiers.table(rows, len(asked)),
        ]
        self.write(
            found,
            tables,
            {**describe_machine(), "engine": engine, **notes(parts, prompts, found)},
        )
        steps = [gap for one in found.samples for gap in one.gaps]
        exact, mismatches = compared(found.samples, rows, len(asked))
        speedup = rows["device-edge"].speedup
        return final_line(
            report.final_figures(
                found.cells,
                step_ms=1e3 * statistics.median(steps),
                exact_prompts=exact,
                mismatches=mismatches,
                device_edge_speedup=speedup.median if speedup else None,
            )
        )

    def start(self) -> Parts:
        """Engines, gateways and the link."""
        self.progress("starting five vLLM engines")
        engines = start_engines(
            self.processes,
            self.common.engine_python,
            self.common.family,
            self.cores,
            self.progress,
        )
        measured = self.cores.measured
        parts = processes_of.start_gateways(
            self.processes, engines, measured, self.folder, DRAFTERS
        )
        processes_of.start_link(self.processes, parts, measured, DRAFTERS)
        return parts

    def start_agents(
        self, parts: Parts, prompts: Sequence[Prompt]
    ) -> tuple[float, dict[str, float]]:
        """The natural drafter's acceptance, and how often the others' drafts are replaced."""
        self.start_agent(parts, NATURAL, 0.0)
        natural = preparing.natural_acceptance(parts, prompts)
        self.progress(f"the natural drafter's acceptance is {natural:.3f}")
        spoil = preparing.spoil_for(natural)
        for drafter, share in spoil.items():
            self.start_agent(parts, drafter, share)
        preparing.wait_for_links(parts, prompts[0].text)
        return natural, spoil

    def start_agent(self, parts: Parts, drafter: str, spoil: float) -> None:
        processes_of.start_agent(
            self.processes,
            parts,
            drafter,
            spoil,
            model=self.common.family["device"],
            cores=self.cores.measured,
            folder=self.folder,
        )

    def links(self, parts: Parts, control: Control, prompts: Sequence[Prompt]) -> Found:
        found = Found()
        for number, stop in enumerate(self.plan.stops, start=1):
            self.progress(f"link {number} of {len(self.plan.stops)}: {stop.name}")
            set_link(control, stop.round_trip_ms, stop.rate_mb_s)
            left = len(self.plan.stops) - number + 1
            seconds = seconds_for(stop, self.plan, monotonic() - self.began, left)
            samples = stops.measure(stop, self.plan, parts, prompts, seconds)
            cells = cells_of(stop, samples)
            for cell in cells:
                if cell.adaptive:
                    self.progress(f"  {cell.name}: ratio {cell.ratio.median:.2f}")
            found.cells += cells
            found.samples += samples
            found.links.append(samples)
            if stop.rate_mb_s == RATE_MB_S:
                found.server[stop.round_trip_ms] = server_spread(samples)
        return found

    def write(self, found: Found, tables: list[Table], about: dict[str, str]) -> None:
        folder = self.common.results
        print(write(folder, "speculation", tables, about).read_text())
        plots.plot_ratios(found.cells, folder / "speculation-ratios.png")
        plots.plot_windows(found.cells, found.server, folder / "speculation-windows.png")
        self.progress(f"tables and plots are in {folder}")


def set_link(control: Control, round_trip_ms: float, rate_mb_s: float) -> None:
    control.ask(delay_ms=round_trip_ms / 2, jitter_ms=0, rate_mb_s=rate_mb_s, stall=None)
