"""Every question by every method, in random order, and how often each method is right."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from loadtest.collective.plan import Method
from loadtest.measure.chat import ChatClient, Reply
from loadtest.measure.family import Question, is_right
from loadtest.measure.statistics import Spread, bootstrap, percentile

Price = Callable[[Reply], float]
"""A reply's cost, in tokens of the cloud's model: a token of a model counts its share of the
cloud model's parameters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodResult:
    """The result of one method over all questions.

    `accuracy` is in points, with a 95 % bootstrap interval; tokens and cost are per answer;
    `right` and `replies` are by question.
    """

    method: Method
    accuracy: Spread
    tokens: float
    cost: float
    median_ms: float
    p95_ms: float
    failed: int
    right: Sequence[bool]
    replies: Sequence[Reply]


def right_answer(reply: Reply, question: Question) -> bool:
    """Whether the reply answers the question right; a failed request does not."""
    return reply.status == 200 and is_right(reply.text, question.answer)


def right_answers(replies: Sequence[Reply], questions: Sequence[Question]) -> list[bool]:
    """By question."""
    pairs = zip(replies, questions, strict=True)
    return [right_answer(reply, question) for reply, question in pairs]


def measure(
    client: ChatClient,
    methods: Sequence[Method],
    questions: Sequence[Question],
    *,
    step: Callable[[int], None],
    seed: int = 1,
) -> dict[str, list[Reply]]:
    """Replies by the methods' names. `step` is called with the number of questions done."""
    random = Random(seed)
    replies: dict[str, list[Reply]] = {method.name: [] for method in methods}
    for number, question in enumerate(questions, start=1):
        for method in random.sample(methods, len(methods)):
            replies[method.name].append(client.ask(method.body(question.prompt)))
        step(number)
    return replies


def result(
    method: Method, replies: Sequence[Reply], questions: Sequence[Question], price: Price
) -> MethodResult:
    right = right_answers(replies, questions)
    seconds = [reply.seconds for reply in replies]
    return MethodResult(
        method=method,
        accuracy=bootstrap([100.0 * hit for hit in right], statistics.fmean),
        tokens=statistics.fmean(reply.tokens for reply in replies),
        cost=statistics.fmean(price(reply) for reply in replies),
        median_ms=1e3 * statistics.median(seconds),
        p95_ms=1e3 * percentile(seconds, 0.95),
        failed=sum(reply.status != 200 for reply in replies),
        right=right,
        replies=replies,
    )


def results(
    methods: Sequence[Method],
    replies: Mapping[str, Sequence[Reply]],
    questions: Sequence[Question],
    price: Price,
) -> dict[str, MethodResult]:
    return {
        method.name: result(method, replies[method.name], questions, price) for method in methods
    }
