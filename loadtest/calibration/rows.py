"""The rows that a predictor is fitted to: what both tiers answered to the same question."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gateway.protocol.virtual_models import CASCADE
from loadtest.calibration.client import EVERYTHING_PASSES, CascadeClient
from loadtest.measure.chat import Reply
from loadtest.measure.command import BenchmarkFailure
from loadtest.measure.family import Question, is_right, split_of
from loadtest.measure.processes import output_of

FIT_S = 600.0


async def ask_row(
    client: CascadeClient, question: Question, upper: str, *, methods: Sequence[str], window: int
) -> dict[str, Any] | None:
    """A row of one question; no text is kept.

    The lower answer's features come from the gateway itself. None where the lower tier was too
    busy, and the top answered in its place.

    Raises BenchmarkFailure.
    """
    options: dict[str, Any] = {"threshold": EVERYTHING_PASSES, "features": True, "window": window}
    replies = [client.ask(CASCADE, question, confidence=method, **options) for method in methods]
    top, *lowers = await asyncio.gather(client.ask(upper, question), *replies)
    stages = [_stage(reply) for reply in lowers]
    if any(stage["decision"] != "accepted" for stage in stages):
        return None
    features: dict[str, float] = {}
    for entry in stages:
        features |= entry.get("features", {})
    stage = stages[0]
    return {
        "task": question.task,
        "split": split_of(question),
        "lower": stage["model"],
        "upper": top.model,
        "features": features,
        "lower_right": is_right(lowers[0].text, question.answer),
        "upper_right": is_right(top.text, question.answer),
        "lower_tokens": stage["tokens"],
        "upper_tokens": top.tokens,
        "judging_tokens": sum(entry.get("judging_tokens", 0) for entry in stages),
    }


def _stage(reply: Reply) -> dict[str, Any]:
    try:
        return dict(reply.cascade["stages"][0])
    except (KeyError, IndexError, TypeError) as error:
        raise BenchmarkFailure("the gateway's answer has no tierflow.cascade.stages") from error


def fit(rows: Path, output: Path, *, window: int, isotonic: bool) -> dict[str, Any]:
    """Have the gateway's own code fit the predictor; gives its report.

    Confidence is computed in one place, the gateway: a second implementation could differ from it.

    Raises BenchmarkFailure.
    """
    command = [sys.executable, "-m", "gateway.calibration", str(rows.resolve())]
    command += ["--output", str(output.resolve()), "--window", str(window)]
    command += ["--isotonic"] if isotonic else []
    report: dict[str, Any] = json.loads(output_of("gateway.calibration", command, FIT_S))
    return report
