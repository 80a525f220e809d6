"""What `train` and `further` share: all members trained together, and exported."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from services.model_family.arguments import ArgumentFailure

if TYPE_CHECKING:
    from services.model_family.model import FamilyModel
    from services.model_family.presets import Preset
    from services.model_family.training.plan import TrainingPlan
    from services.model_family.training.trainer import Trainer


def prepare(arguments: argparse.Namespace, folder: Path) -> None:
    """To be called before torch is used. Makes ``folder``; raises ArgumentFailure."""
    if arguments.decay_from_here and not (folder / "checkpoint.pt").exists():
        raise ArgumentFailure(f"--decay-from-here: {folder} holds no checkpoint to resume")
    # Otherwise a thread waits in a long busy loop for another one that has lost its core.
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    import torch

    # Vanishing gradients and moments slow a CPU down as numbers below the normal range.
    torch.set_flush_denormal(True)
    folder.mkdir(parents=True, exist_ok=True)


def started(
    arguments: argparse.Namespace,
    folder: Path,
    *,
    preset: Preset,
    plan: TrainingPlan,
    start: FamilyModel | None = None,
) -> Trainer:
    """The trainer of ``folder``, which holds the tokenizer, at its start or where it stopped.

    Raises ArgumentFailure.
    """
    from tokenizers import Tokenizer

    from services.model_family.training.trainer import Trainer, TrainingRefused

    try:
        trainer = Trainer(
            preset=preset,
            tokenizer=Tokenizer.from_file(str(folder / "tokenizer.json")),
            run_dir=folder,
            seed=arguments.seed,
            plan=plan,
            start=start,
        )
        resumed = trainer.resume()
    except TrainingRefused as exc:
        raise ArgumentFailure(str(exc)) from exc
    print(f"{'resuming' if resumed else 'starting'} at step {trainer.progress.step} in {folder}")
    if arguments.decay_from_here:
        trainer.begin_decay(60 * arguments.decay_from_here)
    return trainer


def export_members(export: Callable[[], Mapping[str, float]]) -> None:
    """Export, and print how far each member's logits are off. Raises ArgumentFailure."""
    from services.model_family.export.llama import ExportMismatch

    try:
        differences = export()
    except ExportMismatch as exc:
        raise ArgumentFailure(str(exc)) from exc
    for name, difference in differences.items():
        print(f"{name}: largest difference of logits against training {difference:.1e}")
