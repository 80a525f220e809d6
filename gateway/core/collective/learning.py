"""What an answer teaches about the members that took part in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.core.collective.answers import AGREES


@dataclass(frozen=True, slots=True)
class Lesson:
    """An observation of quality, 0 to 1, and how much it counts."""

    device: str
    value: float
    weight: float


def from_agreement(shares: Mapping[str, float]) -> list[Lesson]:
    """Agreement with the final answer stands in for being right. One member alone proves nothing:
    the final answer is its own."""
    if len(shares) < 2:
        return []
    return [Lesson(device, share, 1.0) for device, share in shares.items()]


def from_feedback(shares: Mapping[str, float], score: float, weight: float) -> list[Lesson]:
    """The caller's `score` of the final answer, 0 to 1, goes to those that agreed with it.

    Those that did not were wrong as far as it was right; where it was wrong, that says nothing of
    them.
    """
    lessons = []
    for device, share in shares.items():
        if share >= AGREES:
            lessons.append(Lesson(device, score, weight))
        elif score > 0.0:
            lessons.append(Lesson(device, 0.0, weight * score))
    return lessons
