"""Every tier alone, and the device with each: what is right, and how fast (two tiers' part of
Table I of the source paper, on the shipped family)."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from loadtest.measure.loops import run
from loadtest.measure.results import Cell, Table
from loadtest.measure.spread import Spread
from loadtest.speculation.answers import TokenStream
from loadtest.speculation.asking import (
    DEVICE_CLOUD,
    DEVICE_EDGE,
    ON_DEVICE,
    Client,
    request,
    targets,
)
from loadtest.speculation.engines import Engines
from loadtest.speculation.parts import Parts
from loadtest.speculation.plan import NATURAL
from loadtest.speculation.questions import Question, is_right
from loadtest.speculation.statistics import bootstrap, sums_ratio
from loadtest.speculation.stops import PLAIN_CLOUD, PLAIN_EDGE, SERVER_ONLY
from loadtest.speculation.turns import Turns

ROUND_TRIP_MS, RATE_MB_S = 5, 50.0
"""Of the link that all but the device alone are behind."""
ROWS: Mapping[str, tuple[str, str]] = {
    "device only": (NATURAL, ON_DEVICE),
    "edge only": (SERVER_ONLY, PLAIN_EDGE),
    "cloud only": (SERVER_ONLY, PLAIN_CLOUD),
    "device-edge": (NATURAL, DEVICE_EDGE),
    "device-cloud": (NATURAL, DEVICE_CLOUD),
}
"""By name: whom to ask, and for which model."""
VERIFIER = {"device-edge": "edge only", "device-cloud": "cloud only"}
Answered = Mapping[str, Sequence[TokenStream]]


@dataclass(frozen=True, slots=True)
class Tier:
    """`accuracy` 0 to 1; `speedup` in tokens/s over the verifier alone, None for single tiers;
    `different` counts answers whose ids are not the verifier's own."""

    name: str
    accuracy: float
    tokens_per_s: Spread
    tpot_ms: Spread | None
    speedup: Spread | None
    different: int | None


Tiers = Mapping[str, Tier]


def measure(parts: Parts, questions: Sequence[Question]) -> Answered:
    """Each question answered by all rows in random order. Raises BenchmarkFailure."""
    return run(_measure(parts, questions))


async def _measure(parts: Parts, questions: Sequence[Question]) -> Answered:
    random = Random(1)
    found: dict[str, list[TokenStream]] = {name: [] for name in ROWS}
    async with Client(targets(parts)) as client, Turns(parts.engines) as turns:
        for name, (target, model) in ROWS.items():
            await _turn(turns, parts.engines, name)
            for question in questions[-3:]:
                await client.ask(target, request(model, question.prompt))
        for question in questions:
            for name in random.sample(list(ROWS), len(ROWS)):
                await _turn(turns, parts.engines, name)
                target, model = ROWS[name]
                found[name].append(await client.ask(target, request(model, question.prompt)))
    return found


async def _turn(turns: Turns, engines: Engines, row: str) -> None:
    """The device alone needs no engine: the last one's turn goes on."""
    pool = engines.drafting if row in VERIFIER else engines.plain
    for tier in ("edge", "cloud"):
        if tier in row:
            await turns.give(pool[tier])


def compare(answered: Answered, questions: Sequence[Question]) -> Tiers:
    return {name: _tier(name, answered, questions) for name in answered}


def _tier(name: str, answered: Answered, questions: Sequence[Question]) -> Tier:
    streams = answered[name]
    right = [is_right(s.text, q.answer) for s, q in zip(streams, questions, strict=True)]
    speedup, different = None, None
    if name in VERIFIER:
        alone = answered[VERIFIER[name]]
        pairs = list(zip(streams, alone, strict=True))
        speedup = sums_ratio([(a.count, a.latency, b.count, b.latency) for a, b in pairs])
        different = sum(a.ids != b.ids for a, b in pairs)
    tpots = [1e3 * stream.tpot for stream in streams if stream.tpot is not None]
    return Tier(
        name,
        sum(right) / len(right),
        bootstrap(
            [(s.count, s.latency) for s in streams],
            lambda rows: sum(count for count, _ in rows) / sum(time for _, time in rows),
        ),
        bootstrap(tpots, statistics.median) if tpots else None,
        speedup,
        different,
    )


def table(tiers: Tiers, questions: int) -> Table:
    columns = (
        "tiers", "accuracy %", "tokens/s", "TPOT ms", "speed ÷ verifier alone",
        "answers unlike the verifier's",
    )  # fmt: skip
    rows: list[Sequence[Cell]] = [
        [one.name, 100 * one.accuracy, one.tokens_per_s, one.tpot_ms, one.speedup, one.different]
        for one in tiers.values()
    ]
    title = (
        f"Tiers alone and together: {questions} held-out questions, servers behind a link of "
        f"RTT {ROUND_TRIP_MS} ms and {RATE_MB_S:g} MB/s"
    )
    return Table("tiers", title, columns, rows)
