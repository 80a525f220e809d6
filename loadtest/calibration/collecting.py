"""Asks both tiers the same questions: the rows that a predictor is fitted to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from loadtest.calibration.asking import Asker, split_of
from loadtest.measure.failure import BenchmarkFailure
from loadtest.speculation.questions import Question, is_right

CASCADE = "tierflow-cascade"
EVERYTHING_PASSES = 0.0


async def row(
    asker: Asker, question: Question, upper: str, methods: Sequence[str], window: int
) -> dict[str, Any] | None:
    """The small answer's features come from the gateway itself; no text is kept.

    None where the lower tier was too busy, and the top answered in its place.

    Raises BenchmarkFailure.
    """
    asked: dict[str, Any] = {"threshold": EVERYTHING_PASSES, "features": True, "window": window}
    smalls = [asker.ask(CASCADE, question, confidence=method, **asked) for method in methods]
    big, *small = await asyncio.gather(asker.ask(upper, question), *smalls)
    features: dict[str, float] = {}
    for said in small:
        features |= _stage(said.about).get("features", {})
    stages = [_stage(said.about) for said in small]
    if any(stage["decision"] != "accepted" for stage in stages):
        return None
    stage = stages[0]
    return {
        "task": question.task,
        "split": split_of(question),
        "lower": stage["model"],
        "upper": big.model,
        "features": features,
        "lower_right": is_right(small[0].text, question.answer),
        "upper_right": is_right(big.text, question.answer),
        "lower_tokens": stage["tokens"],
        "upper_tokens": big.tokens,
        "judging_tokens": sum(_stage(said.about).get("judging_tokens", 0) for said in small),
    }


def _stage(about: Any) -> dict[str, Any]:
    try:
        return dict(about["stages"][0])
    except (KeyError, IndexError, TypeError) as error:
        raise BenchmarkFailure("the gateway's answer has no tierflow.cascade.stages") from error
