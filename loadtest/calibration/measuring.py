"""What the cascade keeps of the top tier's accuracy, and what it spares of its tokens."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from loadtest.calibration.asking import Asker
from loadtest.calibration.collecting import CASCADE
from loadtest.speculation.questions import Question, is_right

ACCEPTED = "accepted"


@dataclass(frozen=True, slots=True)
class Pair:
    """One question to the cascade and to the top tier. `reason`: why it went up, None if not."""

    task: str
    cascade_right: bool
    upper_right: bool
    same_text: bool
    cascade_upper_tokens: int
    upper_tokens: int
    lower_tokens: int
    reason: str | None
    predicted: int
    kept: int


async def pair(
    asker: Asker, question: Question, upper: str, stream_mode: str, options: dict[str, Any]
) -> Pair:
    """Raises BenchmarkFailure."""
    stream = stream_mode != "whole"
    if stream:
        options = {**options, "stream_mode": stream_mode}
    cascade, big = await asyncio.gather(
        asker.ask(CASCADE, question, stream=stream, **options), asker.ask(upper, question)
    )
    stages = cascade.about["stages"]
    return Pair(
        question.task,
        is_right(cascade.text, question.answer),
        is_right(big.text, question.answer),
        cascade.text == big.text,
        sum(stage["tokens"] for stage in stages if stage["model"] == big.model),
        big.tokens,
        sum(
            stage["tokens"] + stage.get("judging_tokens", 0)
            for stage in stages
            if stage["model"] != big.model
        ),
        cascade.about["reason"],
        cascade.about["predicted_tokens"],
        cascade.about["kept_tokens"],
    )


@dataclass(frozen=True, slots=True)
class Measured:
    """Accuracies and shares from 0 to 1 over all pairs."""

    questions: int
    cascade_accuracy: float
    upper_accuracy: float
    saving: float
    escalated: float
    kept: float
    lower_tokens: int
    upper_tokens: int
    same_where_escalated: float
    reasons: dict[str, int]

    @property
    def ratio(self) -> float:
        return self.cascade_accuracy / self.upper_accuracy if self.upper_accuracy else 0.0


def measured(pairs: Sequence[Pair]) -> Measured:
    count = len(pairs)
    up = [each for each in pairs if each.reason is not None]
    always = sum(each.upper_tokens for each in pairs)
    taken = sum(each.cascade_upper_tokens for each in pairs)
    predicted = sum(each.predicted for each in pairs)
    return Measured(
        questions=count,
        cascade_accuracy=sum(each.cascade_right for each in pairs) / count,
        upper_accuracy=sum(each.upper_right for each in pairs) / count,
        saving=1.0 - taken / always if always else 0.0,
        escalated=len(up) / count,
        kept=sum(each.kept for each in pairs) / predicted if predicted else 0.0,
        lower_tokens=sum(each.lower_tokens for each in pairs),
        upper_tokens=taken,
        same_where_escalated=sum(each.same_text for each in up) / len(up) if up else 1.0,
        reasons=dict(Counter(each.reason or ACCEPTED for each in pairs)),
    )
