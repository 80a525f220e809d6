"""A training run as the family's folders, each checked against the exit that it is made from."""

# Torch is not installed where types are checked.
# mypy: allow-untyped-decorators
from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from services.model_family import machine
from services.model_family.chat import ask
from services.model_family.dataset import evaluation_set
from services.model_family.evaluation.plots import plot_losses
from services.model_family.export.checkpoints import (
    llama_state,
    round_weights,
    with_own_embeddings,
    write_json,
    write_member,
)
from services.model_family.export.onnx_graph import convert_folder
from services.model_family.members import TIERS, member
from services.model_family.model import FamilyModel
from services.model_family.presets import ModelShape
from services.model_family.specialists import DESCRIPTION_FILE, GENERALIST

TOLERANCE = 2e-3
MEMBER_TRAINING = "training.json"
"""In a member's folder: the figures of its fine-tuning."""


class ExportMismatch(Exception):
    """A written checkpoint does not compute what the trained exit computes."""


def export_run(run_dir: Path, target: Path) -> dict[str, float]:
    """Export a training run's checkpoint, and the figures of the training, to ``target``."""
    model, figures = trained(run_dir)
    differences = export_family(model, run_dir / "tokenizer.json", target)
    shape = model.shape
    layout = {"layers": shape.layers, "hidden": shape.hidden, "exits": list(shape.exits)}
    write_json(target / "training.json", figures | layout)
    plot_losses(run_dir / "log.jsonl", target / "loss.png")
    return differences


def export_further(run_dir: Path, start: Path, target: Path) -> dict[str, float]:
    """As `export_run`, for a further pass that began with the family in ``start``.

    Members that were trained by themselves stay as they are there.
    """
    first = json.loads((start / "training.json").read_text())
    model, figures = trained(run_dir)
    kept = with_own_embeddings(start)
    differences = export_family(model, run_dir / "tokenizer.json", target, kept)
    if target.resolve() != start.resolve():
        for tier in kept:
            shutil.copytree(start / member(tier), target / member(tier), dirs_exist_ok=True)
    passes = [*first.get("further", ()), figures]
    write_json(target / "training.json", first | {"further": passes})
    plot_losses(run_dir / "log.jsonl", target / "loss_further.png")
    return differences


def trained(run_dir: Path) -> tuple[FamilyModel, dict[str, Any]]:
    """The model of a run's checkpoint, and the figures of its training."""
    saved = torch.load(run_dir / "checkpoint.pt", map_location="cpu", weights_only=True)
    model = FamilyModel(ModelShape(**saved["shape"]))
    model.load_state_dict(saved["model"])
    progress = saved["progress"]
    return model, {
        "preset": saved["preset"],
        "steps": progress["step"],
        "tokens": progress["tokens"],
        "hours": round(progress["elapsed"] / 3600, 2),
        "machine": machine.describe(),
    }


def export_family(
    model: FamilyModel, tokenizer_file: Path, target: Path, kept: Sequence[str] = ()
) -> dict[str, float]:
    """Write all members below ``target``, but for those of the tiers ``kept``, and check them.

    Returns the largest absolute difference of logits by member name.
    Raises ExportMismatch if one exceeds ``TOLERANCE``.
    """
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    model = model.cpu().eval()
    round_weights(model)
    differences = {}
    for index, tier in enumerate(TIERS):
        if tier in kept:
            continue
        folder = target / member(tier)
        # Of a pass of this member alone, if there was one.
        (folder / MEMBER_TRAINING).unlink(missing_ok=True)
        write_member(folder, llama_state(model, index), model.shape, tokenizer_file)
        differences[member(tier)] = largest_difference(model, index, folder, tokenizer)
    if TIERS[0] not in kept:
        equip_device(target / member(TIERS[0]))
    worst = max(differences.values())
    if worst > TOLERANCE:
        raise ExportMismatch(f"exported logits differ by {worst:.2e}, more than {TOLERANCE:.0e}")
    return differences


def equip_device(folder: Path) -> None:
    """Add to the smallest member what devices need, which have neither torch nor vLLM."""
    convert_folder(folder)
    write_json(folder / DESCRIPTION_FILE, dict(GENERALIST))


@torch.no_grad()
def largest_difference(
    model: FamilyModel, exit_index: int, folder: Path, tokenizer: Tokenizer, prompts: int = 24
) -> float:
    """Between the trained exit's logits and those transformers computes from ``folder``."""
    loaded = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    worst = 0.0
    for example in evaluation_set(prompts):
        ids = tokenizer.encode(ask(example.prompt) + example.answer).ids
        tokens = torch.tensor([ids])
        ours = model.logits(model(tokens)[exit_index])
        worst = max(worst, float((ours - loaded(tokens).logits).abs().max()))
    return worst
