"""python -m loadtest.speculation.readiness: what being ready for drafts costs a step without any.

Two engines with the same model answer the same questions in turn: vLLM as it is, and the one that
would take drafts but gets none. All tokens of an answer but the first are steps.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from loadtest.measure.benchmark import Benchmark, run_benchmark
from loadtest.measure.chat import PATH, chat_body
from loadtest.measure.closed_loop import run
from loadtest.measure.family import held_out
from loadtest.measure.http_client import post
from loadtest.measure.processes import Process, on_cores
from loadtest.measure.results import Table
from loadtest.measure.statistics import Spread, bootstrap
from loadtest.speculation.client import Client
from loadtest.speculation.engines import Engines, ExclusiveEngine, start_engines

STOCK, READY = "stock vLLM", "ready for drafts"
TOKENS = 192
"""Of every answer, which does not end by itself: enough steps for a median."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadinessPlan:
    """`rounds` ask each engine once, in random order, after `warm_up` of them."""

    rounds: int
    warm_up: int = 2


@dataclass(frozen=True, slots=True)
class Round:
    """The median steps of one question's answers, in ms."""

    stock_ms: float
    ready_ms: float


class ReadinessBenchmark(Benchmark[ReadinessPlan]):
    """The benchmark of a step that is ready for drafts."""

    name = "readiness"
    least_cores = 2
    engines = 2

    def measure(self) -> Mapping[str, float | None]:
        """Everything; gives the figures of the final line. Raises BenchmarkFailure."""
        questions = held_out(self.settings.engine_python, self.plan.warm_up + self.plan.rounds)
        engines = start_engines(
            self.processes,
            self.settings.engine_python,
            self.settings.family,
            cores=self.cores,
            progress=self.progress,
            tiers=("cloud",),
            colocated=False,
        )
        with on_cores(self.cores.measured):
            prompts = [question.prompt for question in questions]
            rounds = run(_rounds(engines, prompts))[self.plan.warm_up :]
        added = added_ms(rounds)
        self.write([table(rounds, added)], {})
        return {"step_ms": statistics.median(each.stock_ms for each in rounds)} | {
            "ready_ms": added.median
        }


async def _rounds(engines: Engines, prompts: Sequence[str]) -> list[Round]:
    random = Random(1)
    of = {STOCK: engines.plain["cloud"], READY: engines.drafting["cloud"].engine}
    rounds = []
    targets = {name: engine.target for name, engine in of.items()}
    async with Client(targets) as client, ExclusiveEngine(engines) as exclusive:

        async def step_ms(name: str, prompt: str) -> float:
            await exclusive.switch_to(of[name])
            stream = await client.ask(name, _request(of[name], prompt))
            return 1e3 * statistics.median(stream.gaps)

        for prompt in prompts:
            steps = {name: await step_ms(name, prompt) for name in random.sample([*of], len(of))}
            rounds.append(Round(steps[STOCK], steps[READY]))
    return rounds


def _request(engine: Process, prompt: str) -> bytes:
    model = engine.name.removeprefix("vllm-")
    fields = {"stream": True, "return_token_ids": True, "ignore_eos": True}
    return post(PATH, chat_body(model, prompt, max_tokens=TOKENS, **fields))


def added_ms(rounds: Sequence[Round]) -> Spread:
    """What a step takes longer where it is ready for drafts: the median over rounds, in ms."""
    return bootstrap([each.ready_ms - each.stock_ms for each in rounds], statistics.median)


def table(rounds: Sequence[Round], added: Spread) -> Table:
    stock = bootstrap([each.stock_ms for each in rounds], statistics.median)
    ready = bootstrap([each.ready_ms for each in rounds], statistics.median)
    return Table(
        name="readiness",
        title=f"Steps of answers without drafts, {len(rounds)} answers of {TOKENS} tokens each, ms",
        columns=(STOCK, READY, "added"),
        rows=[[stock, ready, added]],
    )


FULL, QUICK = ReadinessPlan(rounds=60), ReadinessPlan(rounds=12)

if __name__ == "__main__":
    sys.exit(run_benchmark(ReadinessBenchmark, "bench-speculation", full=FULL, quick=QUICK))
