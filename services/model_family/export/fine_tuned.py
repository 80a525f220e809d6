"""A fine-tuned model as a folder like those of the members, a specialist's with its description."""

from __future__ import annotations

from pathlib import Path

from services.model_family.aggregator import KEPT_SHARE
from services.model_family.export.checkpoints import (
    llama_state,
    round_weights,
    write_json,
    write_member,
)
from services.model_family.export.llama import (
    MEMBER_TRAINING,
    TOLERANCE,
    ExportMismatch,
    equip_device,
    largest_difference,
)
from services.model_family.export.onnx_graph import convert_folder
from services.model_family.members import TIERS, member
from services.model_family.specialists import DESCRIPTION_FILE, Specialist, self_description
from services.model_family.training.fine_tuning import FineTuner


def export_specialist(tuner: FineTuner, specialist: Specialist, folder: Path) -> float:
    """As `export_tuned`, with the ONNX step and the description that a device reads."""
    difference = export_tuned(tuner, folder)
    convert_folder(folder)
    write_json(folder / DESCRIPTION_FILE, self_description(specialist))
    return difference


def export_alone(tuner: FineTuner, folder: Path) -> float:
    """As `export_tuned`, and what devices need where it is the member for them."""
    difference = export_tuned(tuner, folder)
    if folder.name == member(TIERS[0]):
        equip_device(folder)
    return difference


def export_aggregator(tuner: FineTuner, folder: Path) -> float:
    """As `export_tuned`, mixed with what it was before."""
    tuner.mix(KEPT_SHARE)
    return export_tuned(tuner, folder)


def export_tuned(tuner: FineTuner, folder: Path) -> float:
    """Write ``folder`` and check it.

    Returns the largest absolute difference of logits between what was trained and the files.
    Raises ExportMismatch if it exceeds ``TOLERANCE``.
    """
    model = tuner.model.eval()
    round_weights(model)
    tokenizer = tuner.start / "tokenizer.json"
    write_member(folder, llama_state(model, 0), model.shape, tokenizer)
    write_json(
        folder / MEMBER_TRAINING,
        {
            "start": tuner.start.name,
            "tokens": tuner.progress.tokens,
            "steps": tuner.progress.step,
            "minutes": round(tuner.progress.elapsed / 60, 1),
            "seed": tuner.seed,
        },
    )
    difference: float = largest_difference(model, 0, folder, tuner.tokenizer)
    if difference > TOLERANCE:
        raise ExportMismatch(f"{folder}: logits differ by {difference:.2e}, above {TOLERANCE:.0e}")
    return difference
