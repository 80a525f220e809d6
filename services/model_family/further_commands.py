"""The commands ``further`` and ``evaluate-first``."""

from __future__ import annotations

import argparse
import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

from services.model_family import family_training, specialist_commands
from services.model_family.arguments import WEIGHTS, ArgumentFailure, positive, runs
from services.model_family.members import TIERS, IncompleteFamily, check_members, member


def add_parsers(commands: Any) -> None:
    """Adds both to the subparsers of the command line."""
    further = commands.add_parser("further", help="teach a family first questions, or resume")
    which = further.add_mutually_exclusive_group()
    which.add_argument(
        "--alone", choices=TIERS[:-1], help="this small member by itself, on one thread"
    )
    specialist_commands.add_tuning(further, 60.0)
    which.add_argument(
        "--decay-from-here",
        type=positive,
        metavar="MINUTES",
        help="resume, lower the rate to zero over MINUTES, and end",
    )
    evaluate = commands.add_parser("evaluate-first", help="measure answers to first questions")
    evaluate.add_argument("--weights", type=Path, default=WEIGHTS, help="default: %(default)s")
    which = evaluate.add_mutually_exclusive_group()
    which.add_argument("--tuning", action="store_true", help="the few that may be looked at")
    which.add_argument("--write-card", action="store_true", help="README, figures and plot too")


def further(arguments: argparse.Namespace) -> None:
    if arguments.alone:
        further_alone(arguments)
    else:
        further_together(arguments)


def further_alone(arguments: argparse.Namespace) -> None:
    specialist_commands.prepare(arguments)
    from services.model_family.export.fine_tuned import export_alone
    from services.model_family.further_pass import AlonePlan

    plan = AlonePlan(arguments.alone)
    specialist_commands.train(arguments, plan, plan.member, export_alone)


def further_together(arguments: argparse.Namespace) -> None:
    try:
        check_members(arguments.weights)
    except IncompleteFamily as exc:
        raise ArgumentFailure(f"--weights: {exc}") from exc
    folder = arguments.run_dir or runs() / "further"
    family_training.prepare(arguments, folder)
    from services.model_family.export.checkpoints import load_family, with_own_embeddings
    from services.model_family.export.llama import export_further
    from services.model_family.further_pass import FurtherPlan, together

    shutil.copyfile(
        arguments.weights / member(TIERS[-1]) / "tokenizer.json", folder / "tokenizer.json"
    )
    preset = together(
        minutes=arguments.minutes,
        steps=arguments.steps,
        alone=with_own_embeddings(arguments.weights),
    )
    trainer = family_training.started(
        arguments, folder, preset=preset, plan=FurtherPlan(), start=load_family(arguments.weights)
    )
    trainer.run()
    if not trainer.finished():
        print(f"stopped at step {trainer.progress.step}; the same command goes on from there")
        return
    family_training.export_members(
        partial(export_further, folder, arguments.weights, arguments.target)
    )


def evaluate_first(arguments: argparse.Namespace) -> None:
    try:
        check_members(arguments.weights)
    except IncompleteFamily as exc:
        raise ArgumentFailure(f"--weights: {exc}") from exc
    general = arguments.weights / "evaluation.json"
    if arguments.write_card and not general.is_file():
        raise ArgumentFailure(
            f"--write-card: {general} does not exist; run `evaluate --write-card` first"
        )
    from services.model_family.evaluation import card, first_card
    from services.model_family.evaluation.first_questions import evaluate

    figures = evaluate(arguments.weights, "tuning" if arguments.tuning else "held_out")
    print(first_card.kind_table(figures))
    if arguments.write_card:
        from services.model_family.evaluation.plots import plot_first_questions

        text = json.dumps(figures, indent=2) + "\n"
        (arguments.weights / card.FIRST).write_text(text)
        card.write_card(arguments.weights)
        plot_first_questions(figures, arguments.weights / "first_questions.png")
    print(json.dumps({name: figures[name] for name in ("right", "confident_wrong_outside")}))
