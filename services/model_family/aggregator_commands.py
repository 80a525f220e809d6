"""The commands ``aggregator`` and ``evaluate-aggregator``."""

from __future__ import annotations

import argparse
import json
from itertools import islice
from pathlib import Path
from typing import Any

from services.model_family.aggregator import Aggregator
from services.model_family.arguments import WEIGHTS, ArgumentFailure, count
from services.model_family.specialist_commands import add_tuning, prepare, train


def add_parsers(commands: Any) -> None:
    """Adds both to the subparsers of the command line."""
    teach = commands.add_parser("aggregator", help="teach the edge member to read others' answers")
    add_tuning(teach, 14.0)
    evaluate = commands.add_parser("evaluate-aggregator", help="measure how well it reads them")
    evaluate.add_argument("--weights", type=Path, default=WEIGHTS, help="default: %(default)s")
    evaluate.add_argument("--examples", type=count, default=600, help="default: %(default)s")


def aggregator(arguments: argparse.Namespace) -> None:
    prepare(arguments)
    from services.model_family.export.fine_tuned import export_aggregator

    train(arguments, Aggregator(), Aggregator.member, export_aggregator)


def evaluate_aggregator(arguments: argparse.Namespace) -> None:
    """Exact match of held-out questions with others' answers; prints one JSON object."""
    folder = arguments.weights / Aggregator.member
    if not (folder / "model.safetensors").is_file():
        raise ArgumentFailure(f"--weights: {arguments.weights} has no {Aggregator.member}")
    from services.model_family.chat import END
    from services.model_family.evaluation.generation import Member
    from services.model_family.evaluation.scoring import is_right
    from services.model_family.tasks.aggregation import held_out

    member = Member(folder)
    examples = list(islice(held_out(), arguments.examples))
    answers = member.answers([example.prompt for example in examples])
    right = [
        is_right(member.text(ids).removesuffix(END), example.answer)
        for ids, example in zip(answers, examples, strict=True)
    ]
    print(json.dumps({"examples": len(right), "exact_match": round(sum(right) / len(right), 4)}))
