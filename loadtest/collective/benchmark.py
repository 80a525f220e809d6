"""The order of one run: processes, methods, cascade, streams, failures, results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from loadtest.collective import cascade, failures, plots, report, ttft
from loadtest.collective.accuracy import MethodResult, measure, results
from loadtest.collective.cascade import SavingsPoint
from loadtest.collective.cost import Cost
from loadtest.collective.fleet import Fleet, device_models, start_fleet
from loadtest.collective.plan import (
    CLOUD,
    EDGE,
    EVERYBODY,
    SERVERS,
    CollectivePlan,
    methods,
    self_moa,
)
from loadtest.collective.questions import cut, mixed, unfitted
from loadtest.measure.benchmark import Benchmark
from loadtest.measure.chat import ChatClient, Reply
from loadtest.measure.family import Question
from loadtest.measure.processes import on_cores
from loadtest.measure.results import Table

EVERY = 20
"""Questions between two lines of progress."""


class CollectiveBenchmark(Benchmark[CollectivePlan]):
    """The benchmark of collectives and the cascade.

    Devices together against each alone, the best one sampled, edge and cloud.
    """

    name = "collective"
    least_cores = 2
    engines = 2

    def measure(self) -> Mapping[str, float | None]:
        """Everything; gives the figures of the final line. Raises BenchmarkFailure."""
        models = device_models(self.settings.family)
        python = self.settings.engine_python
        further = self.plan.streams * len(ttft.METHODS) * len(ttft.PACES_MS)
        questions, streamed = cut(mixed(python, self.plan.per_task + further), self.plan.per_task)
        for_cascade = unfitted(python, self.plan.cascade)
        failing = questions[: self.plan.failing]
        fleet = self.start_fleet(models)
        with on_cores(self.cores.measured), ChatClient(fleet.url) as client:
            fleet.start_devices(models)
            answered = self.measure_methods(client, questions, models)
            cascaded = self.measure_cascade(client, for_cascade)
            first_tokens = self.measure_ttft(fleet, client, streamed)
            fleet.stop_devices()
            failed = failures.measure(fleet, failing, self.progress)
        points = _points(cascaded, for_cascade)
        tables = [
            report.methods(answered),
            report.domains(answered, questions),
            report.first_tokens(first_tokens),
            report.failures(failed, failing),
            report.cascades(points),
        ]
        self.write_results(tables, answered, points, _curve(cascaded, for_cascade), len(questions))
        return report.final_figures(
            answered,
            first_tokens=first_tokens,
            failed=failed,
            cascades=points,
            questions=questions,
        )

    def start_fleet(self, models: Mapping[str, Path]) -> Fleet:
        return start_fleet(
            self.processes,
            self.settings,
            models=models,
            names=[*models, *failures.twins(models)],
            cores=self.cores,
            progress=self.progress,
        )

    def measure_methods(
        self, client: ChatClient, questions: Sequence[Question], models: Mapping[str, Path]
    ) -> dict[str, MethodResult]:
        """Self-MoA comes after the others: its proposer is the best of the devices alone."""
        price = Cost(self.settings.family, models)
        compared = methods()
        self.progress(f"{len(questions)} questions by {len(compared)} methods")
        for method in compared:
            client.ask(method.body(questions[-1].prompt))
        step = self._step(len(questions))
        replies = measure(client, compared, questions, step=step)
        answered = results(compared, replies, questions, price)
        proposer = report.best_member(answered)
        sampled = [self_moa(proposer)]
        self.progress(f"the same to {proposer}, sampled")
        replies = measure(client, sampled, questions, step=step)
        sampling = price.sampling(proposer, len(EVERYBODY))
        return answered | results(sampled, replies, questions, sampling)

    def measure_cascade(
        self, client: ChatClient, questions: Sequence[Question]
    ) -> Mapping[str, Sequence[Reply]]:
        self.progress(f"{len(questions)} other questions to the cascade, edge and cloud")
        compared = [*cascade.METHODS.values(), *SERVERS]
        return measure(client, compared, questions, step=self._step(len(questions)))

    def measure_ttft(
        self, fleet: Fleet, client: ChatClient, questions: Sequence[Question]
    ) -> list[ttft.TtftResult]:
        """With the same devices, started anew at each pace."""
        self.progress(f"first tokens of {len(questions)} streams")
        first_tokens = []
        for pace, share in ttft.shares(questions).items():
            fleet.stop_devices()
            fleet.start_devices(fleet.models, "--least-step-ms", f"{pace:g}")
            first_tokens += ttft.measure(client, pace, share)
        return first_tokens

    def _step(self, count: int) -> Callable[[int], None]:
        """Reports progress over `count` questions."""

        def step(done: int) -> None:
            if done % EVERY == 0:
                self.progress(f"  {done} of {count}")

        return step

    def write_results(
        self,
        tables: Sequence[Table],
        answered: Mapping[str, MethodResult],
        points: Sequence[SavingsPoint],
        curve: Sequence[SavingsPoint],
        questions: int,
    ) -> None:
        folder = self.settings.results
        self.write(tables, {"questions": str(questions)})
        plots.plot_accuracy(answered, folder / "collective-accuracy.png")
        plots.plot_cost(answered, folder / "collective-cost.png")
        plots.plot_cascade(curve, points, folder / "collective-cascade.png")
        self.progress(f"tables and plots are in {folder}")


def _points(
    replies: Mapping[str, Sequence[Reply]], questions: Sequence[Question]
) -> list[SavingsPoint]:
    """The cascade as it ran, at each quality."""
    return [
        cascade.measured(method.name, replies[method.name], replies[CLOUD], questions)
        for method in cascade.METHODS.values()
    ]


def _curve(
    replies: Mapping[str, Sequence[Reply]], questions: Sequence[Question]
) -> list[SavingsPoint]:
    """The cascade at all thresholds."""
    headline = cascade.METHODS[cascade.HEADLINE].name
    confidences = cascade.confidences(replies[headline])
    return cascade.curve(confidences, replies[EDGE], replies[CLOUD], questions)
