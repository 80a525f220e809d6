"""The order of one run: an engine and a gateway, questions, passes in turn, results."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from random import Random

from loadtest.measure.benchmark import Benchmark
from loadtest.measure.command import BenchmarkFailure
from loadtest.measure.processes import on_cores
from loadtest.measure.servers import start_draft_verifier, start_gateway, wait_for_engine
from loadtest.prediction import report
from loadtest.prediction.answers import (
    TARGET,
    EditQuestion,
    Pass,
    Way,
    choose_questions,
    measure_pass,
)
from loadtest.prediction.plan import SHARES, PredictionPlan
from loadtest.prediction.workload import edit_question
from loadtest.speculation.client import Client

MODEL = "rill-cloud"
WAYS: Sequence[Way] = (None, *SHARES)


class PredictionBenchmark(Benchmark[PredictionPlan]):
    """The benchmark of predicted texts, against answers without one."""

    name = "prediction"
    least_cores = 2
    engines = 1

    def measure(self) -> Mapping[str, float | None]:
        self.progress("starting a vLLM engine that takes drafts")
        verifier = start_draft_verifier(
            self.processes,
            self.settings.engine_python,
            self.settings.family["cloud"],
            tier="cloud",
            secret=secrets.token_hex(16),
            cores=self.cores,
            name=MODEL,
        )
        wait_for_engine(verifier.engine, self.cores.others, self.progress)
        settings = {"pools": {"cloud": verifier.pool()}}
        gateway = start_gateway(
            self.processes, settings, cores=self.cores.measured, folder=self.settings.logs
        )
        with on_cores(self.cores.measured):
            questions, passes = asyncio.run(self._measure(Client({TARGET: gateway.target})))
        self.write(report.tables(questions, passes), report.notes(questions, self.plan))
        report.plot(passes, self.settings.results / "prediction.png")
        return report.final_figures(passes)

    async def _measure(
        self, client: Client
    ) -> tuple[list[EditQuestion], Mapping[Way, Sequence[Pass]]]:
        async with client:
            self.progress("choosing questions")
            rng = Random(11)
            questions = await choose_questions(
                client, MODEL, lambda: edit_question(rng), self.plan.questions, SHARES
            )
            if not questions:
                raise BenchmarkFailure("no answer was long enough to be measured")
            # What is compiled and cached at the first use is no part of any way.
            for way in WAYS:
                await measure_pass(client, MODEL, questions, way)
            passes: dict[Way, list[Pass]] = {way: [] for way in WAYS}
            for number in range(self.plan.repetitions):
                self.progress(f"repetition {number + 1} of {self.plan.repetitions}")
                for way in WAYS if number % 2 == 0 else tuple(reversed(WAYS)):
                    passes[way].append(await measure_pass(client, MODEL, questions, way))
        return questions, passes
