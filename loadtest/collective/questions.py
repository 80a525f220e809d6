"""Held-out questions mixed over domains, with their right answers."""

from __future__ import annotations

from loadtest.collective.plan import COLLECTIVE_TASKS
from loadtest.measure.failure import BenchmarkFailure
from loadtest.speculation.questions import Question, held_out

TASKS = 24
"""Of the family; its questions come with the tasks in turn."""


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
