"""What is measured: which shares of a text are kept, by how many questions, how often."""

from __future__ import annotations

from dataclasses import dataclass

SHARES = (1.0, 0.9, 0.5, 0.0)
"""Of the predicted text's lines, those that the answer has."""
GOALS = {0.9: 3.0, 0.5: 1.5, 0.0: 0.98}


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionPlan:
    """`questions`: requests for an edit. Each is asked `repetitions` times with each text."""

    questions: int
    repetitions: int


FULL = PredictionPlan(questions=24, repetitions=9)
QUICK = PredictionPlan(questions=6, repetitions=2)
