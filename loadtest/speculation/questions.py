"""Held-out questions with their right answers, and which of them make prompts here."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

from loadtest.bench.settings import CHECKOUT
from loadtest.measure.failure import BenchmarkFailure

LEAD = "Answer:"
PROMPT_TOKENS = 24
"""Tokens that the cloud size's answer must have at least, to be a prompt for timing."""


@dataclass(frozen=True, slots=True)
class Question:
    task: str
    prompt: str
    answer: str


def held_out(python: str, count: int) -> list[Question]:
    """Raises BenchmarkFailure."""
    command = [python, "-m", "services.model_family", "questions", "--examples", str(count)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no output"]
        raise BenchmarkFailure(f"model_family questions: {lines[-1]}")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return [Question(row["task"], row["prompt"], row["answer"]) for row in rows]


def longest_first(questions: Iterable[Question]) -> list[Question]:
    """By the right answer's length, each prompt once."""
    unique = {question.prompt: question for question in questions}
    return sorted(unique.values(), key=lambda question: -len(question.answer))


def is_right(answer: str, expected: str) -> bool:
    """Exact match of what follows the last `Answer:`, else of all, as the family's own scorer."""
    return _final(answer) == _final(expected)


def _final(text: str) -> str:
    _, found, tail = text.rpartition(LEAD)
    return (tail if found else text).strip()
