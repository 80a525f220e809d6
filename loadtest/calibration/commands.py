"""The three commands: ask, log, measure. Each gives the line that ends its output."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from loadtest.calibration import collecting, measuring
from loadtest.calibration.asking import Asker, for_all, split_of
from loadtest.calibration.fitting import fit
from loadtest.calibration.plots import plot
from loadtest.measure.failure import BenchmarkFailure
from loadtest.measure.progress import Progress
from loadtest.measure.results import Cell, Table
from loadtest.speculation.questions import Question, held_out

GOAL = "0.99"


def run(given: argparse.Namespace, progress: Progress) -> str:
    """Raises BenchmarkFailure."""
    commands = {"ask": ask, "log": log, "measure": measure}
    given.results.mkdir(parents=True, exist_ok=True)
    return commands[given.command](given, progress)


def ask(given: argparse.Namespace, progress: Progress) -> str:
    questions = _questions(given.questions)
    progress(f"{len(questions)} questions to both tiers of {given.url}")

    async def one(asker: Asker, question: Question) -> dict[str, Any] | None:
        return await collecting.row(asker, question, given.upper, given.methods, given.window)

    found = asyncio.run(
        for_all(given.url, given.max_tokens, given.at_once, questions, one, progress)
    )
    rows = [row for row in found if row is not None]
    if len(rows) < len(found) // 2:
        raise BenchmarkFailure(
            f"the lower tier answered {len(rows)} of {len(found)} questions; see /ready of the "
            "gateway, and ask fewer --at-once"
        )
    progress(f"{len(rows)} rows")
    file: Path = given.results / "calibration-rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return _fitted(file, given, progress)


def log(given: argparse.Namespace, progress: Progress) -> str:
    return _fitted(given.file, given, progress)


def _fitted(rows: Path, given: argparse.Namespace, progress: Progress) -> str:
    progress("fitting")
    report = fit(rows, given.output, given.window, given.isotonic)
    methods = report["methods"]
    picture = given.plot or given.output.with_suffix(".png")
    plot(methods, picture)
    print(_targets(methods).markdown())
    print(f"\n{given.output} and {picture} are written\n")
    found = next(iter(methods.values()))
    goal = found["targets"][GOAL]
    line = {
        "fitted_to": found["fitted_to"],
        "evaluated_on": found["evaluated_on"],
        "calibration_error": round(found["calibration_error"], 4),
        "cascade_cloud_token_saving": round(goal["saving"], 4),
        "cascade_accuracy_ratio": round(goal["ratio"], 4),
    }
    return json.dumps(line)


def _targets(methods: Mapping[str, Any]) -> Table:
    columns = ("method", "quality", "threshold", "accuracy %", "of the top's %", "spared %", "up %")
    rows = [
        [
            name,
            float(quality),
            point["threshold"],
            100 * point["accuracy"],
            100 * point["ratio"],
            100 * point["saving"],
            100 * point["escalated"],
        ]
        for name, report in methods.items()
        for quality, point in report["targets"].items()
    ]
    return Table(
        "targets", "The cascade at each quality target, on what was held out", columns, rows
    )


def measure(given: argparse.Namespace, progress: Progress) -> str:
    questions = [q for q in _questions(given.questions) if split_of(q) == "evaluation"]
    options = {"quality": given.quality, "confidence": given.confidence}
    options = {name: value for name, value in options.items() if value is not None}
    progress(f"{len(questions)} held-out questions to the cascade and to {given.upper}")

    async def one(asker: Asker, question: Question) -> measuring.Pair:
        return await measuring.pair(asker, question, given.upper, given.stream_mode, options)

    pairs = asyncio.run(
        for_all(given.url, given.max_tokens, given.at_once, questions, one, progress)
    )
    found = measuring.measured(pairs)
    print(_by_task(pairs).markdown())
    line = {name: _rounded(value) for name, value in asdict(found).items()}
    line["cascade_cloud_token_saving"] = round(found.saving, 4)
    line["cascade_accuracy_ratio"] = round(found.ratio, 4)
    return json.dumps(line)


def _by_task(pairs: Sequence[measuring.Pair]) -> Table:
    columns = ("task", "questions", "cascade %", "top %", "spared %", "up %", "kept %")
    rows: list[Sequence[Cell]] = []
    for task in dict.fromkeys(each.task for each in pairs):
        part = measuring.measured([each for each in pairs if each.task == task])
        rows.append(
            [
                task, part.questions, 100 * part.cascade_accuracy, 100 * part.upper_accuracy,
                100 * part.saving, 100 * part.escalated, 100 * part.kept,
            ]
        )  # fmt: skip
    return Table("tasks", "The cascade by task", columns, rows)


def _questions(count: int) -> list[Question]:
    unique = {question.prompt: question for question in held_out(sys.executable, count)}
    if len(unique) < count // 2:
        raise BenchmarkFailure(f"only {len(unique)} different questions were drawn")
    return list(unique.values())


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value
