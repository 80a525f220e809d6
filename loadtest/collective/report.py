"""The tables and the final line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from loadtest.collective import ttft
from loadtest.collective.accuracy import MethodResult, right_answers
from loadtest.collective.cascade import HEADLINE, METHODS, QUALITIES, SavingsPoint
from loadtest.collective.failures import FailureRun
from loadtest.collective.plan import CLOUD, EDGE, EVERYBODY, KEYS, SELF_MOA, of
from loadtest.collective.ttft import TtftResult
from loadtest.measure.chat import Reply
from loadtest.measure.family import Question
from loadtest.measure.results import Cell, Table

MEMBERS = tuple(f"{member} alone" for member in EVERYBODY)
COLLECTIVE_5 = of(len(EVERYBODY))


def best_member(results: Mapping[str, MethodResult]) -> str:
    """The device that is right most often alone; the first of equals."""
    return max(EVERYBODY, key=lambda member: results[f"{member} alone"].accuracy.median)


def methods(results: Mapping[str, MethodResult]) -> Table:
    rows: list[Sequence[Cell]] = [
        [r.method.name, r.accuracy, r.tokens, r.cost, r.median_ms, r.p95_ms, r.failed]
        for r in results.values()
    ]
    columns = (
        "who answers", "accuracy %", "tokens", "cost, cloud tokens", "median ms", "p95 ms",
        "failed",
    )  # fmt: skip
    count = len(next(iter(results.values())).replies)
    return Table(
        name="ways",
        title=f"{count} held-out questions, mixed over domains",
        columns=columns,
        rows=rows,
    )


def domains(results: Mapping[str, MethodResult], questions: Sequence[Question]) -> Table:
    """Accuracy by the questions' task, for each device alone, the collective, edge and cloud."""
    names = [*MEMBERS, COLLECTIVE_5, EDGE, CLOUD]
    rows: list[Sequence[Cell]] = []
    for task in dict.fromkeys(question.task for question in questions):
        at = [n for n, question in enumerate(questions) if question.task == task]
        rows.append(
            [task, *(100 * sum(results[name].right[n] for n in at) / len(at) for name in names)]
        )
    return Table(name="tasks", title="Accuracy by task, %", columns=("task", *names), rows=rows)


def failures(run: FailureRun, questions: Sequence[Question]) -> Table:
    """The answers to the questions from the first failure on."""
    later = questions[run.since :]
    before, during = run.before[run.since :], run.during[run.since :]
    rows: list[Sequence[Cell]] = [
        ["all ten devices", len(later), points(before, later), failed_requests(before), None],
        [
            "three of ten fail",
            len(later),
            points(during, later),
            failed_requests(during),
            run.lost_members,
        ],
    ]
    columns = (
        "devices", "questions", "accuracy %", "failed requests", "answers that lost a member",
    )  # fmt: skip
    return Table(
        name="failures",
        title="Devices that fail while they are at work",
        columns=columns,
        rows=rows,
    )


def failed_requests(replies: Sequence[Reply]) -> int:
    return sum(reply.status != 200 for reply in replies)


def drop(run: FailureRun, questions: Sequence[Question]) -> float:
    """Points of accuracy that the failures cost, from the first one on."""
    later = questions[run.since :]
    return points(run.before[run.since :], later) - points(run.during[run.since :], later)


def points(replies: Sequence[Reply], questions: Sequence[Question]) -> float:
    """Accuracy, 0 to 100."""
    right = right_answers(replies, questions)
    return 100 * sum(right) / len(right)


def first_tokens(results: Sequence[TtftResult]) -> Table:
    rows: list[Sequence[Cell]] = [
        [r.pace_ms, r.method, r.streams, r.ttft_ms, r.slowest_ms, r.ratio] for r in results
    ]
    columns = (
        "device ms a token", "streamed collective", "streams", "TTFT ms",
        "slowest needed member ms", "ratio",
    )  # fmt: skip
    return Table(
        name="ttft", title="Time to the first token, devices at a pace", columns=columns, rows=rows
    )


def cascades(points: Sequence[SavingsPoint]) -> Table:
    rows: list[Sequence[Cell]] = [
        [
            point.name, 100 * point.saving, point.ratio, 100 * point.escalated,
            None if point.kept is None else 100 * point.kept,
        ]
        for point in points
    ]  # fmt: skip
    columns = (
        "cascade", "cloud tokens saved %", "accuracy ÷ cloud's", "escalated %",
        "predicted tokens kept %",
    )  # fmt: skip
    return Table(
        name="cascade", title="Edge first, cloud where it is needed", columns=columns, rows=rows
    )


def final_figures(
    results: Mapping[str, MethodResult],
    *,
    first_tokens: Sequence[TtftResult],
    failed: FailureRun,
    cascades: Sequence[SavingsPoint],
    questions: Sequence[Question],
) -> dict[str, float | None]:
    """Exactly KEYS, in their order."""
    accuracy = {name: result.accuracy.median for name, result in results.items()}
    headline = cascades[QUALITIES.index(HEADLINE)]
    assert headline.name == METHODS[HEADLINE].name
    figures: list[float | None] = [
        accuracy[f"{best_member(results)} alone"],
        accuracy[SELF_MOA],
        accuracy[COLLECTIVE_5],
        accuracy[EDGE],
        accuracy[CLOUD],
        ttft.worst(first_tokens),
        drop(failed, questions[: len(failed.before)]),
        headline.saving,
        headline.ratio,
    ]
    return dict(zip(KEYS, figures, strict=True))
