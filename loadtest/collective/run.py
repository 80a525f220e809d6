"""The order of one run: processes, ways, failures, streams, cascade, results."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from loadtest.bench.preflight import check_memory, engine_versions
from loadtest.collective import cascade, failures, fleet, plots, report, streaming
from loadtest.collective.accuracy import Result, measure, results
from loadtest.collective.asking import Client, Reply
from loadtest.collective.cost import Cost
from loadtest.collective.fleet import Fleet
from loadtest.collective.plan import CLOUD, EDGE, EVERYBODY, SERVERS, Way, self_moa, ways
from loadtest.collective.questions import cut, mixed, unfitted
from loadtest.collective.settings import COMMAND, Settings
from loadtest.measure.cores import Cores, on_cores
from loadtest.measure.machine import describe_machine
from loadtest.measure.processes import Processes
from loadtest.measure.progress import Progress
from loadtest.measure.results import final_line, write
from loadtest.speculation.questions import Question
from loadtest.speculation.settings import check_cores

EVERY = 20
"""Questions between two lines of progress."""


class Bench:
    """One run: what is started, on which cores, and what is told meanwhile."""

    def __init__(self, settings: Settings, processes: Processes, progress: Progress) -> None:
        self.settings = settings
        self.plan = settings.plan
        self.common = settings.common
        self.processes = processes
        self.progress = progress

    def run(self) -> str:
        """Everything; gives the final line. Raises BenchmarkFailure."""
        check_cores(os.sched_getaffinity(0))
        check_memory(2)
        engine = engine_versions(self.common.engine_python, COMMAND)
        further = self.plan.streams * len(streaming.WAYS) * len(streaming.PACES_MS)
        drawn = mixed(self.common.engine_python, self.plan.each + further)
        questions, streamed = cut(drawn, self.plan.each)
        others = unfitted(self.common.engine_python, self.plan.cascade)
        cores = Cores.split(os.sched_getaffinity(0))
        names = [*self.settings.devices, *failures.twins(self.settings.devices)]
        found = fleet.start(self.processes, self.settings, names, cores, self.progress)
        with on_cores(cores.measured), Client(found.url) as client:
            for name, model in self.settings.devices.items():
                found.start_device(name, model)
            found.wait_for(self.settings.devices.keys())
            answered = self.ways(client, questions)
            climbed = self.cascades(client, others)
            firsts = self.streams(found, client, streamed)
            self.stop_devices(found)
            asked = questions[: self.plan.failing]
            failed = failures.measure(found, asked, self.progress)
        points, curve = self.points(climbed, others), self.curve(climbed, others)
        tables = [
            report.ways(answered),
            report.domains(answered, questions),
            report.firsts(firsts),
            report.failing(failed, asked),
            report.cascades(points),
        ]
        about = {**describe_machine(), "engine": engine, "questions": str(len(questions))}
        folder = self.common.results
        print(write(folder, "collective", tables, about).read_text())
        plots.plot_accuracy(answered, folder / "collective-accuracy.png")
        plots.plot_cost(answered, folder / "collective-cost.png")
        plots.plot_cascade(curve, points, folder / "collective-cascade.png")
        self.progress(f"tables and plots are in {folder}")
        return final_line(report.final_figures(answered, firsts, failed, points, questions))

    def ways(self, client: Client, questions: Sequence[Question]) -> dict[str, Result]:
        """Self-MoA comes after the others: its proposer is the best of the devices alone."""
        price = Cost(self.common.family, self.settings.devices)
        asked = ways()
        self.progress(f"{len(questions)} questions in {len(asked)} ways")
        for way in asked:
            client.ask(way, questions[-1])
        found = results(asked, self.measured(client, asked, questions), questions, price)
        proposer = report.best_member(found)
        sampled = [self_moa(proposer)]
        self.progress(f"the same to {proposer}, sampled")
        replies = self.measured(client, sampled, questions)
        dear = price.sampling(proposer, len(EVERYBODY))
        return found | results(sampled, replies, questions, dear)

    def measured(
        self, client: Client, asked: Sequence[Way], questions: Sequence[Question]
    ) -> Mapping[str, list[Reply]]:
        def step(done: int) -> None:
            if done % EVERY == 0:
                self.progress(f"  {done} of {len(questions)}")

        return measure(client, asked, questions, step)

    def streams(
        self, found: Fleet, client: Client, questions: Sequence[Question]
    ) -> list[streaming.First]:
        """With the same devices, started anew at each pace."""
        self.progress(f"first tokens of {len(questions)} streams")
        firsts = []
        for pace, asked in streaming.shares(questions).items():
            self.stop_devices(found)
            for name, model in self.settings.devices.items():
                found.start_device(name, model, "--least-step-ms", f"{pace:g}")
            found.wait_for(self.settings.devices.keys())
            firsts += streaming.measure(client, pace, asked)
        return firsts

    def stop_devices(self, found: Fleet) -> None:
        for device in found.devices.values():
            self.processes.stop(device)
        found.devices.clear()
        found.wait_for(set())

    def cascades(
        self, client: Client, questions: Sequence[Question]
    ) -> Mapping[str, Sequence[Reply]]:
        self.progress(f"{len(questions)} other questions to the cascade, edge and cloud")
        return self.measured(client, [*cascade.WAYS.values(), *SERVERS], questions)

    def points(
        self, found: Mapping[str, Sequence[Reply]], questions: Sequence[Question]
    ) -> list[cascade.Point]:
        return [
            cascade.measured(way.name, found[way.name], found[CLOUD], questions)
            for way in cascade.WAYS.values()
        ]

    def curve(
        self, found: Mapping[str, Sequence[Reply]], questions: Sequence[Question]
    ) -> list[cascade.Point]:
        confident = cascade.confidences(found[cascade.WAYS[cascade.HEADLINE].name])
        return cascade.curve(confident, found[EDGE], found[CLOUD], questions)
