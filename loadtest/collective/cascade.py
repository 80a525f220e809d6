"""What the cascade saves of the cloud, at which accuracy: as it runs, and at other thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loadtest.collective.asking import Reply
from loadtest.collective.plan import CASCADE, Way
from loadtest.measure.failure import BenchmarkFailure
from loadtest.speculation.questions import Question, is_right

QUALITIES = (0.95, 0.98, 0.99)
WAYS = {quality: Way(f"cascade at {quality:g}", CASCADE, {"cascade": {"quality": quality}})
        for quality in QUALITIES}  # fmt: skip
HEADLINE = 0.99


@dataclass(frozen=True, slots=True)
class Point:
    """`saving`: share of always-cloud's cloud tokens that were not needed; `ratio`: accuracy over
    always-cloud's; `escalated`: share of the questions; `kept`: of the predicted tokens."""

    name: str
    saving: float
    ratio: float
    escalated: float
    kept: float | None = None


def cloud_tokens(reply: Reply) -> int:
    stages = reply.about.get("cascade", {}).get("stages", ())
    return sum(stage["tokens"] for stage in stages if stage["tier"] == "cloud")


def measured(
    name: str, replies: Sequence[Reply], cloud: Sequence[Reply], questions: Sequence[Question]
) -> Point:
    """A way as it ran, against always asking the cloud."""
    abouts = [reply.about.get("cascade", {}) for reply in replies]
    predicted = sum(about.get("predicted_tokens") or 0 for about in abouts)
    kept = sum(about.get("kept_tokens") or 0 for about in abouts)
    return Point(
        name,
        1 - sum(map(cloud_tokens, replies)) / sum(reply.tokens for reply in cloud),
        _right(replies, questions) / _right(cloud, questions),
        sum(bool(about.get("escalated")) for about in abouts) / len(abouts),
        kept / predicted if predicted else None,
    )


def confidences(replies: Sequence[Reply]) -> list[float]:
    """Of the lowest tier in its answers, 0 to 1. Raises BenchmarkFailure where one is missing."""
    found = []
    for reply in replies:
        stages = reply.about.get("cascade", {}).get("stages", ())
        if not stages or stages[0].get("confidence") is None:
            raise BenchmarkFailure("an answer of the cascade does not tell its confidence")
        found.append(float(stages[0]["confidence"]))
    return found


def curve(
    confident: Sequence[float],
    edge: Sequence[Reply],
    cloud: Sequence[Reply],
    questions: Sequence[Question],
) -> list[Point]:
    """All thresholds: the least confident go to the cloud first. From nobody to everybody."""
    order = sorted(range(len(confident)), key=lambda n: confident[n])
    total = sum(reply.tokens for reply in cloud)
    best = _right(cloud, questions)
    right = _right(edge, questions)
    spent = 0
    points = [Point("", 1.0, right / best, 0.0)]
    for done, n in enumerate(order, start=1):
        right += _is(cloud[n], questions[n]) - _is(edge[n], questions[n])
        spent += cloud[n].tokens
        points.append(Point("", 1 - spent / total, right / best, done / len(order)))
    return points


def random_routing(curve: Sequence[Point]) -> tuple[Point, Point]:
    """Which questions go to the cloud is drawn: a line between nobody and everybody."""
    return curve[0], curve[-1]


def _right(replies: Sequence[Reply], questions: Sequence[Question]) -> int:
    return sum(_is(reply, one) for reply, one in zip(replies, questions, strict=True))


def _is(reply: Reply, question: Question) -> bool:
    return reply.status == 200 and is_right(reply.text, question.answer)
