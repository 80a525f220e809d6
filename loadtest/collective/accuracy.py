"""Every question in every way, in random order, and what comes of it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from loadtest.collective.asking import Client, Reply
from loadtest.collective.plan import Way
from loadtest.measure.spread import Spread
from loadtest.speculation.questions import Question, is_right
from loadtest.speculation.statistics import bootstrap

Price = Callable[[Reply], float]
"""A reply's cost, in tokens of the cloud's model: a token of a model counts its share of the
cloud model's parameters."""


@dataclass(frozen=True, slots=True)
class Result:
    """Of one way, over all questions. `accuracy` in points, with a 95 % bootstrap interval;
    tokens and cost per answer; `right` by question."""

    way: Way
    accuracy: Spread
    tokens: float
    cost: float
    median_ms: float
    p95_ms: float
    failed: int
    right: Sequence[bool]
    replies: Sequence[Reply]


def measure(
    client: Client,
    ways: Sequence[Way],
    questions: Sequence[Question],
    step: Callable[[int], None],
    seed: int = 1,
) -> dict[str, list[Reply]]:
    """By the ways' names. `step` is told how many questions are done."""
    random = Random(seed)
    found: dict[str, list[Reply]] = {way.name: [] for way in ways}
    for number, question in enumerate(questions, start=1):
        for way in random.sample(ways, len(ways)):
            found[way.name].append(client.ask(way, question))
        step(number)
    return found


def result(
    way: Way, replies: Sequence[Reply], questions: Sequence[Question], price: Price
) -> Result:
    right = [
        reply.status == 200 and is_right(reply.text, question.answer)
        for reply, question in zip(replies, questions, strict=True)
    ]
    seconds = sorted(reply.seconds for reply in replies)
    return Result(
        way,
        bootstrap([100.0 * one for one in right], statistics.fmean),
        statistics.fmean(reply.tokens for reply in replies),
        statistics.fmean(price(reply) for reply in replies),
        1e3 * statistics.median(seconds),
        1e3 * seconds[int(0.95 * (len(seconds) - 1))],
        sum(reply.status != 200 for reply in replies),
        right,
        replies,
    )


def results(
    ways: Sequence[Way],
    replies: Mapping[str, Sequence[Reply]],
    questions: Sequence[Question],
    price: Price,
) -> dict[str, Result]:
    return {way.name: result(way, replies[way.name], questions, price) for way in ways}
