"""The commands ``specialise`` and ``evaluate-specialists``, and what all fine-tunings share."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.model_family.arguments import WEIGHTS, ArgumentFailure, count, positive, runs
from services.model_family.members import IncompleteFamily, check_members
from services.model_family.specialists import COMPARED, SPECIALISTS

if TYPE_CHECKING:
    from services.model_family.training.fine_tuning import FineTuningPlan


def add_parsers(commands: Any) -> None:
    """Adds both to the subparsers of the command line."""
    specialise = commands.add_parser("specialise", help="fine-tune the device member on some tasks")
    which = specialise.add_mutually_exclusive_group(required=True)
    which.add_argument("--domain", choices=sorted(SPECIALISTS))
    which.add_argument("--all", action="store_true", help="each domain in turn")
    add_tuning(specialise, 10.0)
    evaluate = commands.add_parser("evaluate-specialists", help="measure the specialists by domain")
    evaluate.add_argument("--weights", type=Path, default=WEIGHTS, help="default: %(default)s")
    evaluate.add_argument("--examples", type=count, default=2400, help="default: %(default)s")
    evaluate.add_argument("--write-card", action="store_true", help="README, figures and plot too")


def add_tuning(command: argparse.ArgumentParser, minutes: float) -> None:
    """The arguments that `train` reads."""
    command.add_argument("--minutes", type=positive, default=minutes, help="default: %(default)s")
    command.add_argument("--steps", type=count, help="end after this many steps at the latest")
    command.add_argument("--seed", type=int, default=0, help="of the data")
    command.add_argument(
        "--weights", type=Path, default=WEIGHTS, help="start, default: %(default)s"
    )
    command.add_argument("--run-dir", type=Path, help="checkpoints (default: below TIERFLOW_CACHE)")
    command.add_argument("--target", type=Path, default=WEIGHTS, help="default: %(default)s")


def specialise(arguments: argparse.Namespace) -> None:
    chosen = SPECIALISTS.values() if arguments.all else [SPECIALISTS[arguments.domain]]
    prepare(arguments)
    from services.model_family.export.fine_tuned import export_specialist

    for specialist in chosen:
        export = partial(export_specialist, specialist=specialist)
        if not train(arguments, specialist, specialist.start, export):
            return


def prepare(arguments: argparse.Namespace) -> None:
    """To be called before torch is used. Raises ArgumentFailure for an incomplete family."""
    # The tokenizer's threads and torch's second one cost others more than they bring here.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import torch

    torch.set_flush_denormal(True)
    torch.set_num_threads(1)
    try:
        check_members(arguments.weights)
    except IncompleteFamily as exc:
        raise ArgumentFailure(f"--weights: {exc}") from exc


def train(
    arguments: argparse.Namespace, plan: FineTuningPlan, start: str, export: Callable[..., float]
) -> bool:
    """Train, or resume, and export; False if a signal came before the end."""
    from services.model_family.export.llama import ExportMismatch
    from services.model_family.training.fine_tuning import (
        FineTuner,
        FineTuningRefused,
        FineTuningSettings,
    )

    folder = (arguments.run_dir or runs() / "specialists") / plan.name
    settings = FineTuningSettings(seconds=60 * arguments.minutes)
    if arguments.steps is not None:
        settings = FineTuningSettings(seconds=60 * arguments.minutes, steps=arguments.steps)
    tuner = FineTuner(
        plan=plan,
        start=arguments.weights / start,
        run_dir=folder,
        settings=settings,
        seed=arguments.seed,
    )
    try:
        resumed = tuner.resume()
    except FineTuningRefused as exc:
        raise ArgumentFailure(str(exc)) from exc
    begun = f"{'resuming' if resumed else 'starting'} at step {tuner.progress.step}"
    print(f"{plan.member} from {start}: {begun} in {folder}")
    tuner.run()
    if not tuner.finished():
        print(f"stopped at step {tuner.progress.step}; the same command goes on from there")
        return False
    try:
        difference = export(tuner, folder=arguments.target / plan.member)
    except ExportMismatch as exc:
        raise ArgumentFailure(str(exc)) from exc
    print(
        f"{plan.member}: {tuner.progress.tokens:,} tokens; "
        f"largest difference of logits against training {difference:.1e}"
    )
    return True


def evaluate_specialists(arguments: argparse.Namespace) -> None:
    for name in COMPARED:
        if not (arguments.weights / name / "model.safetensors").is_file():
            raise ArgumentFailure(
                f"--weights: {arguments.weights} has no {name}; run `specialise` first"
            )
    general = arguments.weights / "evaluation.json"
    if arguments.write_card and not general.is_file():
        raise ArgumentFailure(
            f"--write-card: {general} does not exist; run `evaluate --write-card` first"
        )
    from services.model_family.evaluation import card, specialist_card
    from services.model_family.evaluation.specialists import evaluate

    figures = evaluate(arguments.weights, arguments.examples)
    print(specialist_card.group_table(figures), specialist_card.revision_table(figures), sep="\n\n")
    if arguments.write_card:
        from services.model_family.evaluation.plots import plot_specialists

        text = json.dumps(figures, indent=2) + "\n"
        (arguments.weights / card.SPECIALISTS).write_text(text)
        card.write_card(arguments.weights)
        plot_specialists(figures, arguments.weights / "specialists.png")
