"""The command line: ``train``, ``export``, ``onnx``, ``evaluate``, ``questions``, and those of
the specialists.

Torch is imported inside the commands that need it, so that ``questions`` runs anywhere.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from services.model_family import (
    aggregator_commands,
    family_training,
    further_commands,
    specialist_commands,
)
from services.model_family.arguments import WEIGHTS, ArgumentFailure, count, positive, runs
from services.model_family.members import TIERS, IncompleteFamily, check_members
from services.model_family.presets import PRESETS


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m services.model_family", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="train all exits together, or resume")
    export = commands.add_parser("export", help="write each exit as a Llama checkpoint")
    for command in (train, export):
        command.add_argument("--preset", choices=sorted(PRESETS), default="small")
        command.add_argument(
            "--run-dir", type=Path, help="checkpoints (default: below TIERFLOW_CACHE)"
        )
    train.add_argument("--seed", type=int, default=0, help="of the data and the first weights")
    train.add_argument("--hours", type=positive, help="end after this much training time")
    train.add_argument("--steps", type=count, help="end after this many steps")
    train.add_argument("--stop-at", type=count, metavar="STEP", help="pause there, to be resumed")
    train.add_argument(
        "--decay-from-here",
        type=positive,
        metavar="MINUTES",
        help="resume, lower the rate to zero over MINUTES, and end",
    )
    export.add_argument("--target", type=Path, default=WEIGHTS, help="default: %(default)s")
    onnx = commands.add_parser("onnx", help="write model.onnx beside a checkpoint")
    onnx.add_argument("--model", required=True, help="the checkpoint's folder, or a hub id")
    onnx.add_argument(
        "--target", type=Path, metavar="FOLDER", help="where a model from the hub goes"
    )
    evaluate = commands.add_parser("evaluate", help="measure an exported family")
    evaluate.add_argument("--weights", type=Path, default=WEIGHTS, help="default: %(default)s")
    evaluate.add_argument("--write-card", action="store_true", help="README, figures and plot too")
    questions = commands.add_parser("questions", help="print held-out questions as JSON lines")
    evaluate.add_argument("--examples", type=count, default=1200, help="default: %(default)s")
    questions.add_argument("--examples", type=count, default=400, help="default: %(default)s")
    specialist_commands.add_parsers(commands)
    aggregator_commands.add_parsers(commands)
    further_commands.add_parsers(commands)
    return top


def run_dir(arguments: argparse.Namespace) -> Path:
    if arguments.run_dir is not None:
        return Path(arguments.run_dir)
    return runs() / str(arguments.preset)


def train(arguments: argparse.Namespace) -> None:
    preset, folder = PRESETS[arguments.preset], run_dir(arguments)
    family_training.prepare(arguments, folder)
    from services.model_family.evaluation.plots import plot_losses
    from services.model_family.tokenizer import train_tokenizer
    from services.model_family.training.plan import FamilyPlan

    vocabulary = folder / "tokenizer.json"
    if not vocabulary.exists():
        train_tokenizer(preset.shape.vocabulary, arguments.seed, preset.tokenizer_examples).save(
            str(vocabulary)
        )
    changes = {key: getattr(arguments, key) for key in ("hours", "steps")}
    preset = dataclasses.replace(preset, **{k: v for k, v in changes.items() if v is not None})
    trainer = family_training.started(arguments, folder, preset=preset, plan=FamilyPlan())
    trainer.run(arguments.stop_at)
    plot_losses(folder / "log.jsonl", folder / "loss.png")
    print(f"stopped at step {trainer.progress.step}; checkpoint and loss.png are in {folder}")


def export(arguments: argparse.Namespace) -> None:
    from services.model_family.export.llama import export_run

    folder = run_dir(arguments)
    for name in ("checkpoint.pt", "tokenizer.json"):
        if not (folder / name).exists():
            raise ArgumentFailure(f"--run-dir: {folder / name} does not exist; run `train` first")
    family_training.export_members(partial(export_run, folder, arguments.target))


def onnx(arguments: argparse.Namespace) -> None:
    from services.model_family.export.onnx_graph import NotConvertible, convert_folder

    try:
        print(convert_folder(checkpoint(arguments)))
    except NotConvertible as exc:
        raise ArgumentFailure(f"--model: {exc}") from exc


def checkpoint(arguments: argparse.Namespace) -> Path:
    """The folder of `--model`, which a model on the hub is fetched into."""
    from gateway.protocol.model_hub import HubFailed, fetch_model, is_hub_id

    if not is_hub_id(arguments.model):
        if arguments.target:
            raise ArgumentFailure("--target: is for a model from the hub; leave it out")
        return Path(arguments.model)
    if arguments.target is None:
        raise ArgumentFailure(
            f"--model {arguments.model}: there is no such folder; for a model of this id on the "
            "hub, give --target too: the folder that it goes to"
        )
    try:
        return fetch_model(arguments.model, arguments.target)
    except HubFailed as exc:
        raise ArgumentFailure(f"--model {exc}") from exc


def evaluate(arguments: argparse.Namespace) -> None:
    if arguments.examples < len(TIERS):
        raise ArgumentFailure(
            f"--examples: {arguments.examples} is too few; give {len(TIERS)} or more"
        )
    training = arguments.weights / "training.json"
    if arguments.write_card and not training.exists():
        raise ArgumentFailure(f"--write-card: {training} does not exist; run `export` first")
    try:
        check_members(arguments.weights)
    except IncompleteFamily as exc:
        raise ArgumentFailure(f"--weights: {exc}") from exc
    from services.model_family import machine
    from services.model_family.evaluation import card
    from services.model_family.evaluation.family import evaluate as measure

    figures = measure(arguments.weights, arguments.examples)
    print(card.summary_table(figures), card.task_table(figures), sep="\n\n")
    if arguments.write_card:
        from services.model_family.evaluation.plots import plot_accuracy

        figures["machine"] = machine.describe()
        figures["training"] = json.loads(training.read_text())
        text = json.dumps(figures, indent=2) + "\n"
        (arguments.weights / card.EVALUATION).write_text(text)
        card.write_card(arguments.weights)
        plot_accuracy(figures, arguments.weights / "accuracy.png")
    flat = {f"accuracy_{tier}": value for tier, value in figures["accuracy"].items()}
    flat |= {f"agreement_{tier}": value for tier, value in figures["agreement"].items()}
    print(json.dumps(flat))


def questions(arguments: argparse.Namespace) -> None:
    from services.model_family.dataset import evaluation_set

    for example in evaluation_set(arguments.examples):
        line = {name: getattr(example, name) for name in ("task", "domain", "prompt", "answer")}
        print(json.dumps(line))


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    commands = {
        "train": train,
        "export": export,
        "onnx": onnx,
        "evaluate": evaluate,
        "questions": questions,
        "specialise": specialist_commands.specialise,
        "aggregator": aggregator_commands.aggregator,
        "evaluate-aggregator": aggregator_commands.evaluate_aggregator,
        "evaluate-specialists": specialist_commands.evaluate_specialists,
        "further": further_commands.further,
        "evaluate-first": further_commands.evaluate_first,
    }
    try:
        commands[arguments.command](arguments)
    except ArgumentFailure as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 2
    return 0
