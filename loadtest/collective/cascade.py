"""What the cascade saves of the cloud, at which accuracy: as it runs, and at other thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.protocol.virtual_models import CASCADE
from loadtest.collective.accuracy import right_answer, right_answers
from loadtest.collective.plan import Method
from loadtest.measure.chat import Reply
from loadtest.measure.command import BenchmarkFailure
from loadtest.measure.family import Question

QUALITIES = (0.95, 0.98, 0.99)
METHODS = {
    quality: Method(f"cascade at {quality:g}", CASCADE, {"cascade": {"quality": quality}})
    for quality in QUALITIES
}
HEADLINE = 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class SavingsPoint:
    """The savings of a cascade, and its accuracy.

    `saving` is the share of always-cloud's cloud tokens that were not needed, `ratio` the accuracy
    over always-cloud's, `escalated` a share of the questions, `kept` of the predicted tokens.
    """

    name: str
    saving: float
    ratio: float
    escalated: float
    kept: float | None = None


def cloud_tokens(reply: Reply) -> int:
    stages = reply.cascade.get("stages", ())
    return sum(stage["tokens"] for stage in stages if stage["tier"] == "cloud")


def measured(
    name: str, replies: Sequence[Reply], cloud: Sequence[Reply], questions: Sequence[Question]
) -> SavingsPoint:
    """A method as it ran, against always asking the cloud."""
    reports = [reply.cascade for reply in replies]
    predicted = sum(report.get("predicted_tokens") or 0 for report in reports)
    kept = sum(report.get("kept_tokens") or 0 for report in reports)
    return SavingsPoint(
        name=name,
        saving=1 - sum(map(cloud_tokens, replies)) / sum(reply.tokens for reply in cloud),
        ratio=sum(right_answers(replies, questions)) / sum(right_answers(cloud, questions)),
        escalated=sum(bool(report.get("escalated")) for report in reports) / len(reports),
        kept=kept / predicted if predicted else None,
    )


def confidences(replies: Sequence[Reply]) -> list[float]:
    """Confidences of the lowest tier, 0 to 1. Raises BenchmarkFailure where one is missing."""
    values = []
    for reply in replies:
        stages = reply.cascade.get("stages", ())
        if not stages or stages[0].get("confidence") is None:
            raise BenchmarkFailure("an answer of the cascade does not tell its confidence")
        values.append(float(stages[0]["confidence"]))
    return values


def curve(
    confidences: Sequence[float],
    edge: Sequence[Reply],
    cloud: Sequence[Reply],
    questions: Sequence[Question],
) -> list[SavingsPoint]:
    """All thresholds, from no question at the cloud to all: the least confident go there first."""
    order = sorted(range(len(confidences)), key=lambda n: confidences[n])
    total = sum(reply.tokens for reply in cloud)
    best = sum(right_answers(cloud, questions))
    right = sum(right_answers(edge, questions))
    spent = 0
    points = [SavingsPoint(name="", saving=1.0, ratio=right / best, escalated=0.0)]
    for done, n in enumerate(order, start=1):
        right += right_answer(cloud[n], questions[n]) - right_answer(edge[n], questions[n])
        spent += cloud[n].tokens
        points.append(
            SavingsPoint(
                name="", saving=1 - spent / total, ratio=right / best, escalated=done / len(order)
            )
        )
    return points


def random_routing(curve: Sequence[SavingsPoint]) -> tuple[SavingsPoint, SavingsPoint]:
    """The line on which the questions for the cloud are drawn at random: its two ends."""
    return curve[0], curve[-1]
