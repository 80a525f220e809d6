"""The tables and the final line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from loadtest.collective import streaming
from loadtest.collective.accuracy import Result
from loadtest.collective.asking import Reply
from loadtest.collective.cascade import HEADLINE, QUALITIES, WAYS, Point
from loadtest.collective.failures import Failing
from loadtest.collective.plan import CLOUD, EDGE, EVERYBODY, KEYS, SELF_MOA, of
from loadtest.collective.streaming import First
from loadtest.measure.results import Cell, Table
from loadtest.speculation.questions import Question, is_right

MEMBERS = tuple(f"{member} alone" for member in EVERYBODY)
COLLECTIVE_5 = of(len(EVERYBODY))


def best_member(results: Mapping[str, Result]) -> str:
    """The device that is right most often alone; of equals the first."""
    return max(EVERYBODY, key=lambda member: results[f"{member} alone"].accuracy.median)


def ways(results: Mapping[str, Result]) -> Table:
    rows: list[Sequence[Cell]] = [
        [r.way.name, r.accuracy, r.tokens, r.cost, r.median_ms, r.p95_ms, r.failed]
        for r in results.values()
    ]
    columns = (
        "who answers", "accuracy %", "tokens", "cost, cloud tokens", "median ms", "p95 ms",
        "failed",
    )  # fmt: skip
    count = len(next(iter(results.values())).replies)
    return Table("ways", f"{count} held-out questions, mixed over domains", columns, rows)


def domains(results: Mapping[str, Result], questions: Sequence[Question]) -> Table:
    """Accuracy by the questions' task, for each device alone, the collective, edge and cloud."""
    names = [*MEMBERS, COLLECTIVE_5, EDGE, CLOUD]
    rows: list[Sequence[Cell]] = []
    for task in dict.fromkeys(question.task for question in questions):
        at = [n for n, question in enumerate(questions) if question.task == task]
        rows.append(
            [task, *(100 * sum(results[name].right[n] for n in at) / len(at) for name in names)]
        )
    return Table("tasks", "Accuracy by task, %", ("task", *names), rows)


def failing(found: Failing, questions: Sequence[Question]) -> Table:
    """Of the questions from the first failure on."""
    asked = questions[found.since :]
    before, during = found.before[found.since :], found.during[found.since :]
    rows: list[Sequence[Cell]] = [
        ["all ten devices", len(asked), points(before, asked), failures(before), None],
        ["three of ten fail", len(asked), points(during, asked), failures(during), found.hit()],
    ]
    columns = (
        "devices", "questions", "accuracy %", "failed requests", "answers that lost a member",
    )  # fmt: skip
    return Table("failures", "Devices that fail while they are at work", columns, rows)


def failures(replies: Sequence[Reply]) -> int:
    return sum(reply.status != 200 for reply in replies)


def drop(found: Failing, questions: Sequence[Question]) -> float:
    """Points of accuracy, from the first failure on."""
    asked = questions[found.since :]
    return points(found.before[found.since :], asked) - points(found.during[found.since :], asked)


def points(replies: Sequence[Reply], questions: Sequence[Question]) -> float:
    """Accuracy, 0 to 100."""
    right = [
        reply.status == 200 and is_right(reply.text, question.answer)
        for reply, question in zip(replies, questions, strict=True)
    ]
    return 100 * sum(right) / len(right)


def firsts(found: Sequence[First]) -> Table:
    rows: list[Sequence[Cell]] = [
        [one.pace_ms, one.way, one.streams, one.ttft_ms, one.slowest_ms, one.ratio] for one in found
    ]
    columns = (
        "device ms a token", "streamed collective", "streams", "TTFT ms",
        "slowest needed member ms", "ratio",
    )  # fmt: skip
    return Table("ttft", "Time to the first token, devices at a pace", columns, rows)


def cascades(found: Sequence[Point]) -> Table:
    rows: list[Sequence[Cell]] = [
        [
            one.name, 100 * one.saving, one.ratio, 100 * one.escalated,
            None if one.kept is None else 100 * one.kept,
        ]
        for one in found
    ]  # fmt: skip
    columns = (
        "cascade", "cloud tokens saved %", "accuracy ÷ cloud's", "escalated %",
        "predicted tokens kept %",
    )  # fmt: skip
    return Table("cascade", "Edge first, cloud where it is needed", columns, rows)


def final_figures(
    results: Mapping[str, Result],
    firsts: Sequence[First],
    failed: Failing,
    cascades: Sequence[Point],
    questions: Sequence[Question],
) -> dict[str, float | None]:
    """Exactly KEYS, in their order."""
    accuracy = {name: one.accuracy.median for name, one in results.items()}
    headline = cascades[QUALITIES.index(HEADLINE)]
    assert headline.name == WAYS[HEADLINE].name
    figures: list[float | None] = [
        accuracy[f"{best_member(results)} alone"],
        accuracy[SELF_MOA],
        accuracy[COLLECTIVE_5],
        accuracy[EDGE],
        accuracy[CLOUD],
        streaming.worst(firsts),
        drop(failed, questions[: len(failed.before)]),
        headline.saving,
        headline.ratio,
    ]
    return dict(zip(KEYS, figures, strict=True))
