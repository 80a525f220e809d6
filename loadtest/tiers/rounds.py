"""Measuring one cell: each round asks one question in every way, in random order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from time import monotonic

from loadtest.measure.closed_loop import run
from loadtest.measure.family import Question
from loadtest.measure.processes import Cores
from loadtest.speculation.client import Client, request
from loadtest.speculation.engines import ExclusiveEngine
from loadtest.speculation.token_streams import TokenStream
from loadtest.tiers.plan import TABLE, Cell, TiersPlan
from loadtest.tiers.testbed import Testbed
from loadtest.tiers.ways import MODELS, Way, engines_of, target_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer to a round's question in one way."""

    round: int
    question: Question
    way: Way
    stream: TokenStream


def measure_cell(
    cell: Cell, *, testbed: Testbed, questions: Sequence[Question], plan: TiersPlan, cores: Cores
) -> list[Answer]:
    """The far links must have the cell's round trip already. Raises BenchmarkFailure."""
    place_edge(cell, testbed, cores)
    return run(_measure(cell, testbed, questions, plan))


async def _measure(
    cell: Cell, testbed: Testbed, questions: Sequence[Question], plan: TiersPlan
) -> list[Answer]:
    random = Random(cell.name)
    # Without its engine, vLLM's own speculation takes no part.
    ways = [way for way in cell.ways if way.drafter or engines_of(way, testbed.engines)]
    most = len(questions) if cell.kind == TABLE else None
    answers: list[Answer] = []
    async with (
        Client(testbed.targets) as client,
        ExclusiveEngine(testbed.engines) as exclusive,
    ):

        async def ask(way: Way, question: Question) -> TokenStream:
            if engines := engines_of(way, testbed.engines):
                await exclusive.switch_to(*engines)
            return await client.ask(target_of(way), request(MODELS[way.name], question.prompt))

        # The agents and the gateway learn the link and who is right how often.
        for way in ways:
            chain = len(engines_of(way, testbed.engines)) > 1
            for question in questions[-(plan.chain_warm_up if chain else plan.warm_up) :]:
                await ask(way, question)
        end = monotonic() + cell.seconds
        number = 0
        while number != most and (number < cell.least or monotonic() < end):
            question = questions[number % len(questions)]
            for way in random.sample(ways, len(ways)):
                stream = await ask(way, question)
                answers.append(Answer(round=number, question=question, way=way, stream=stream))
            number += 1
    return answers


def place_edge(cell: Cell, testbed: Testbed, cores: Cores) -> None:
    """Move the edge's engine beside the cloud's, for a cell in which the two answer together.

    An engine that answers alone has the engines' core for itself. In a chain the edge's engine is
    on the core of gateways, links and devices: both engines on one would take each other's time in
    every step. It gives way to those, as it does not delay them where it has a machine of its own,
    and would here by all its processes that look for work without pause. It stays there for the
    whole cell, as an engine that has just been moved answers its first question late.
    """
    edge = testbed.engines.drafting["edge"].engine
    if any(len(engines_of(way, testbed.engines)) > 1 for way in cell.ways):
        edge.pin(cores.measured)
        edge.give_way()
    else:
        edge.pin(cores.others)
