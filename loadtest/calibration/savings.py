"""What the cascade keeps of the top tier's accuracy, and what it saves of its tokens."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.protocol.virtual_models import CASCADE
from loadtest.calibration.client import CascadeClient
from loadtest.measure.family import Question, is_right

ACCEPTED = "accepted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The cascade's and the top tier's answer to one question.

    `reason` says why the question was escalated, None where it was not; with no `lower_tokens`
    either, the top answered in the lower tier's place. `predicted` are the tokens of the lower
    answer that the top tier was offered, `kept` those that it kept.
    """

    task: str
    cascade_right: bool
    upper_right: bool
    cascade_upper_tokens: int
    upper_tokens: int
    lower_tokens: int
    reason: str | None
    predicted: int
    kept: int


async def ask_pair(
    client: CascadeClient,
    question: Question,
    upper: str,
    *,
    stream_mode: str,
    options: Mapping[str, Any],
) -> Pair:
    """Raises BenchmarkFailure."""
    stream = stream_mode != "whole"
    if stream:
        options = {**options, "stream_mode": stream_mode}
    cascade, top = await asyncio.gather(
        client.ask(CASCADE, question, stream=stream, **options), client.ask(upper, question)
    )
    report = cascade.cascade
    lower = [stage for stage in report["stages"] if stage["model"] != top.model]
    return Pair(
        task=question.task,
        cascade_right=is_right(cascade.text, question.answer),
        upper_right=is_right(top.text, question.answer),
        cascade_upper_tokens=sum(
            stage["tokens"] for stage in report["stages"] if stage["model"] == top.model
        ),
        upper_tokens=top.tokens,
        lower_tokens=sum(stage["tokens"] + stage.get("judging_tokens", 0) for stage in lower),
        reason=report["reason"],
        predicted=report["predicted_tokens"],
        kept=report["kept_tokens"],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Savings:
    """The savings of a cascade: accuracies and shares from 0 to 1 over all pairs.

    `overflowed`: how many questions the top answered in the lower tier's place."""

    questions: int
    cascade_accuracy: float
    upper_accuracy: float
    saving: float
    escalated: float
    overflowed: int
    kept: float
    lower_tokens: int
    upper_tokens: int
    reasons: dict[str, int]

    @property
    def ratio(self) -> float:
        return self.cascade_accuracy / self.upper_accuracy if self.upper_accuracy else 0.0


def savings(pairs: Sequence[Pair]) -> Savings:
    count = len(pairs)
    escalated = [pair for pair in pairs if pair.reason is not None]
    always = sum(pair.upper_tokens for pair in pairs)
    needed = sum(pair.cascade_upper_tokens for pair in pairs)
    predicted = sum(pair.predicted for pair in pairs)
    return Savings(
        questions=count,
        cascade_accuracy=sum(pair.cascade_right for pair in pairs) / count,
        upper_accuracy=sum(pair.upper_right for pair in pairs) / count,
        saving=1.0 - needed / always if always else 0.0,
        escalated=len(escalated) / count,
        overflowed=sum(pair.reason is None and pair.lower_tokens == 0 for pair in pairs),
        kept=sum(pair.kept for pair in pairs) / predicted if predicted else 0.0,
        lower_tokens=sum(pair.lower_tokens for pair in pairs),
        upper_tokens=needed,
        reasons=dict(Counter(pair.reason or ACCEPTED for pair in pairs)),
    )
