"""Held-out questions mixed over domains, with their right answers."""

from __future__ import annotations

from loadtest.calibration.asking import split_of
from loadtest.collective.plan import COLLECTIVE_TASKS
from loadtest.measure.failure import BenchmarkFailure
from loadtest.speculation.questions import Question, held_out

TASKS = 24
"""Of the family; its questions come with the tasks in turn."""
CALIBRATION = 1500
"""Questions of which a part fitted the shipped predictor of the cascade; see docs/cascade.md."""


def mixed(python: str, each: int) -> list[Question]:
    """`each` questions of every task but the collective ones. Raises BenchmarkFailure."""
    found: dict[str, list[Question]] = {}
    for question in held_out(python, 2 * TASKS * each):
        if question.task not in COLLECTIVE_TASKS:
            found.setdefault(question.task, []).append(question)
    short = [task for task, questions in found.items() if len(questions) < each]
    if short:
        raise BenchmarkFailure(f"fewer than {each} held-out questions of: {', '.join(short)}")
    return [question for several in zip(*found.values(), strict=False) for question in several][
        : each * len(found)
    ]


def cut(questions: list[Question], each: int) -> tuple[list[Question], list[Question]]:
    """The first `each` of every task, and the others."""
    place = each * len({question.task for question in questions})
    return questions[:place], questions[place:]


def unfitted(python: str, count: int) -> list[Question]:
    """Questions that the cascade's predictor was not fitted to. Raises BenchmarkFailure."""
    found = {
        question.prompt: question
        for question in held_out(python, CALIBRATION)
        if question.task not in COLLECTIVE_TASKS and split_of(question) == "evaluation"
    }
    if len(found) < count:
        raise BenchmarkFailure(f"only {len(found)} held-out questions are left for the cascade")
    return list(found.values())[:count]
