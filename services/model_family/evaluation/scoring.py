"""The exact-match scorer."""

from __future__ import annotations

from services.model_family.tasks.example import LEAD


def final_answer(text: str) -> str:
    """The text after the last ``Answer:`` if there is one, else all of it."""
    _, lead, tail = text.rpartition(LEAD)
    return (tail if lead else text).strip()


def is_right(answer: str, expected: str) -> bool:
    """Exact match of the final answers; steps written before ``Answer:`` are not compared."""
    return final_answer(answer) == final_answer(expected)
