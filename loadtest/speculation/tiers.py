"""Every tier alone, and the device with each: what is right, and how fast (two tiers' part of
Table I of the source paper, on the shipped family)."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from gateway.protocol.virtual_models import DEVICE_CLOUD, DEVICE_EDGE, ON_DEVICE
from loadtest.measure.closed_loop import run
from loadtest.measure.family import Question, is_right
from loadtest.measure.processes import Process
from loadtest.measure.results import Cell, Table
from loadtest.measure.statistics import Spread, bootstrap, sums_ratio
from loadtest.speculation.client import Client, request
from loadtest.speculation.engines import Engines, ExclusiveEngine
from loadtest.speculation.links import PLAIN_CLOUD, PLAIN_EDGE
from loadtest.speculation.plan import NATURAL, SERVER_ONLY
from loadtest.speculation.testbed import Testbed
from loadtest.speculation.token_streams import TokenStream

ROUND_TRIP_MS, RATE_MB_S = 5, 50.0
"""Conditions of the link that all but the device alone are behind."""
ROWS: Mapping[str, tuple[str, str]] = {
    "device only": (NATURAL, ON_DEVICE),
    "edge only": (SERVER_ONLY, PLAIN_EDGE),
    "cloud only": (SERVER_ONLY, PLAIN_CLOUD),
    "device-edge": (NATURAL, DEVICE_EDGE),
    "device-cloud": (NATURAL, DEVICE_CLOUD),
}
"""By name: the target to ask, and the model."""
VERIFIER = {"device-edge": "edge only", "device-cloud": "cloud only"}
Answers = Mapping[str, Sequence[TokenStream]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TierResult:
    """The result of a tier, or of two together, over all questions.

    `accuracy` is 0 to 1; `speedup` is tokens/s over those of the verifier alone, None for single
    tiers; `different` counts answers whose ids are not the verifier's own.
    """

    name: str
    accuracy: float
    tokens_per_s: Spread
    tpot_ms: Spread | None
    speedup: Spread | None
    different: int | None


Tiers = Mapping[str, TierResult]


def measure(testbed: Testbed, questions: Sequence[Question]) -> Answers:
    """Each question answered by all rows in random order. Raises BenchmarkFailure."""
    return run(_measure(testbed, questions))


async def _measure(testbed: Testbed, questions: Sequence[Question]) -> Answers:
    random = Random(1)
    answers: dict[str, list[TokenStream]] = {name: [] for name in ROWS}
    async with Client(testbed.targets) as client, ExclusiveEngine(testbed.engines) as exclusive:

        async def ask(name: str, question: Question) -> TokenStream:
            target, model = ROWS[name]
            for engine in _engines_of(name, testbed.engines):
                await exclusive.switch_to(engine)
            return await client.ask(target, request(model, question.prompt))

        for name in ROWS:
            for question in questions[-3:]:
                await ask(name, question)
        for question in questions:
            for name in random.sample(list(ROWS), len(ROWS)):
                answers[name].append(await ask(name, question))
    return answers


def _engines_of(row: str, engines: Engines) -> list[Process]:
    """The engine that a row needs; none for the device alone."""
    for tier in ("edge", "cloud"):
        if tier in row:
            return [engines.drafting[tier].engine if row in VERIFIER else engines.plain[tier]]
    return []


def compare(answers: Answers, questions: Sequence[Question]) -> Tiers:
    return {name: _result(name, answers, questions) for name in answers}


def _result(name: str, answers: Answers, questions: Sequence[Question]) -> TierResult:
    streams = answers[name]
    right = [is_right(s.text, q.answer) for s, q in zip(streams, questions, strict=True)]
    speedup, different = None, None
    if name in VERIFIER:
        pairs = list(zip(streams, answers[VERIFIER[name]], strict=True))
        speedup = sums_ratio([(a.count, a.latency, b.count, b.latency) for a, b in pairs])
        different = sum(a.ids != b.ids for a, b in pairs)
    tpots = [1e3 * stream.tpot for stream in streams if stream.tpot is not None]
    return TierResult(
        name=name,
        accuracy=sum(right) / len(right),
        tokens_per_s=bootstrap(
            [(stream.count, stream.latency) for stream in streams],
            lambda rows: sum(count for count, _ in rows) / sum(time for _, time in rows),
        ),
        tpot_ms=bootstrap(tpots, statistics.median) if tpots else None,
        speedup=speedup,
        different=different,
    )


def table(tiers: Tiers, questions: int) -> Table:
    columns = (
        "tiers", "accuracy %", "tokens/s", "TPOT ms", "speed ÷ verifier alone",
        "answers unlike the verifier's",
    )  # fmt: skip
    rows: list[Sequence[Cell]] = [
        [
            tier.name,
            100 * tier.accuracy,
            tier.tokens_per_s,
            tier.tpot_ms,
            tier.speedup,
            tier.different,
        ]
        for tier in tiers.values()
    ]
    title = (
        f"Tiers alone and together: {questions} held-out questions, servers behind a link of "
        f"RTT {ROUND_TRIP_MS} ms and {RATE_MB_S:g} MB/s"
    )
    return Table(name="tiers", title=title, columns=columns, rows=rows)
