"""The three commands: ask, log, measure. Each gives the line that ends its output."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from loadtest.calibration.client import CascadeClient, Traffic, ask_all, await_lower_tier
from loadtest.calibration.plots import plot
from loadtest.calibration.rows import ask_row, fit
from loadtest.calibration.savings import Pair, ask_pair, savings
from loadtest.measure.command import BenchmarkFailure, Progress
from loadtest.measure.family import Question, held_out, split_of
from loadtest.measure.results import Cell, Table, final_line

GOAL = "0.99"


def run(arguments: argparse.Namespace, progress: Progress) -> str:
    """Raises BenchmarkFailure."""
    commands = {"ask": ask, "log": log, "measure": measure}
    arguments.results.mkdir(parents=True, exist_ok=True)
    return commands[arguments.command](arguments, progress)


def ask(arguments: argparse.Namespace, progress: Progress) -> str:
    """Ask both tiers the same questions, and fit a predictor to their answers."""
    questions = _questions(arguments.questions)
    await_lower_tier(_traffic(arguments), questions[0], arguments.upper, progress)
    progress(f"{len(questions)} questions to both tiers of {arguments.url}")

    async def row(client: CascadeClient, question: Question) -> dict[str, Any] | None:
        return await ask_row(
            client,
            question,
            arguments.upper,
            methods=arguments.methods,
            window=arguments.window,
        )

    answered = ask_all(_traffic(arguments), questions, row, progress)
    rows = [row for row in answered if row is not None]
    if len(rows) < len(answered) // 2:
        raise BenchmarkFailure(
            f"the lower tier answered {len(rows)} of {len(answered)} questions; see /ready of the "
            "gateway, and ask fewer --at-once"
        )
    progress(f"{len(rows)} rows")
    file: Path = arguments.results / "calibration-rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return _fit(file, arguments, progress)


def log(arguments: argparse.Namespace, progress: Progress) -> str:
    """Fit a predictor to the gateway's log of outcomes."""
    return _fit(arguments.file, arguments, progress)


def _fit(rows: Path, arguments: argparse.Namespace, progress: Progress) -> str:
    progress("fitting")
    output: Path = arguments.output
    report = fit(rows, output, window=arguments.window, isotonic=arguments.isotonic)
    methods = report["methods"]
    picture = arguments.plot or output.with_suffix(".png")
    plot(methods, picture)
    print(_targets(methods).markdown())
    print(f"\n{output} and {picture} are written\n")
    first = next(iter(methods.values()))
    goal = first["targets"][GOAL]
    return final_line(
        {
            "fitted_to": first["fitted_to"],
            "evaluated_on": first["evaluated_on"],
            "calibration_error": first["calibration_error"],
            "cascade_cloud_token_saving": goal["saving"],
            "cascade_accuracy_ratio": goal["ratio"],
        }
    )


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
        name="targets",
        title="The cascade at each quality target, on what was held out",
        columns=columns,
        rows=rows,
    )


def measure(arguments: argparse.Namespace, progress: Progress) -> str:
    """Ask the cascade as it is, and the top tier, on questions that nothing was fitted to."""
    questions = [q for q in _questions(arguments.questions) if split_of(q) == "evaluation"]
    options = {"quality": arguments.quality, "confidence": arguments.confidence}
    options = {name: value for name, value in options.items() if value is not None}
    await_lower_tier(_traffic(arguments), questions[0], arguments.upper, progress)
    progress(f"{len(questions)} held-out questions to the cascade and to {arguments.upper}")

    async def pair(client: CascadeClient, question: Question) -> Pair:
        return await ask_pair(
            client,
            question,
            arguments.upper,
            stream_mode=arguments.stream_mode,
            options=options,
        )

    pairs = ask_all(_traffic(arguments), questions, pair, progress)
    total = savings(pairs)
    print(_by_task(pairs).markdown())
    return final_line(
        {
            **asdict(total),
            "cascade_cloud_token_saving": total.saving,
            "cascade_accuracy_ratio": total.ratio,
        }
    )


def _by_task(pairs: Sequence[Pair]) -> Table:
    columns = ("task", "questions", "cascade %", "top %", "spared %", "up %", "kept %")
    rows: list[Sequence[Cell]] = []
    for task in dict.fromkeys(pair.task for pair in pairs):
        part = savings([pair for pair in pairs if pair.task == task])
        rows.append(
            [
                task, part.questions, 100 * part.cascade_accuracy, 100 * part.upper_accuracy,
                100 * part.saving, 100 * part.escalated, 100 * part.kept,
            ]
        )  # fmt: skip
    return Table(name="tasks", title="The cascade by task", columns=columns, rows=rows)


def _questions(count: int) -> list[Question]:
    unique = {question.prompt: question for question in held_out(sys.executable, count)}
    if len(unique) < count // 2:
        raise BenchmarkFailure(f"only {len(unique)} different questions were drawn")
    return list(unique.values())


def _traffic(arguments: argparse.Namespace) -> Traffic:
    return Traffic(arguments.url, arguments.at_once, arguments.max_tokens)
