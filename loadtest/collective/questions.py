"""Held-out questions mixed over domains, with their right answers."""

from __future__ import annotations

from loadtest.collective.plan import COLLECTIVE_TASKS
from loadtest.measure.command import BenchmarkFailure
from loadtest.measure.family import Question, held_out, split_of

TASKS = 24
"""Tasks of the family; its questions come with the tasks in turn."""
CALIBRATION = 1500
"""Questions of which a part fitted the shipped predictor of the cascade; see docs/cascade.md."""


def mixed(python: str, per_task: int) -> list[Question]:
    """`per_task` questions of every task but the collective ones. Raises BenchmarkFailure."""
    by_task: dict[str, list[Question]] = {}
    for question in held_out(python, 2 * TASKS * per_task):
        if question.task not in COLLECTIVE_TASKS:
            by_task.setdefault(question.task, []).append(question)
    short = [task for task, questions in by_task.items() if len(questions) < per_task]
    if short:
        raise BenchmarkFailure(f"fewer than {per_task} held-out questions of: {', '.join(short)}")
    rounds = zip(*by_task.values(), strict=False)
    in_turn = [question for of_each_task in rounds for question in of_each_task]
    return in_turn[: per_task * len(by_task)]


def cut(questions: list[Question], per_task: int) -> tuple[list[Question], list[Question]]:
    """The first `per_task` of every task, and the others."""
    place = per_task * len({question.task for question in questions})
    return questions[:place], questions[place:]


def unfitted(python: str, count: int) -> list[Question]:
    """Questions that the cascade's predictor was not fitted to. Raises BenchmarkFailure."""
    unique = {
        question.prompt: question
        for question in held_out(python, CALIBRATION)
        if question.task not in COLLECTIVE_TASKS and split_of(question) == "evaluation"
    }
    if len(unique) < count:
        raise BenchmarkFailure(f"only {len(unique)} held-out questions remain for the cascade")
    return list(unique.values())[:count]
