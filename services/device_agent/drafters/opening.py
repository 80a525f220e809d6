"""Opens the drafter that the command line names."""

from __future__ import annotations

from pathlib import Path

from services.device_agent.drafters.engine import EngineDrafter
from services.device_agent.drafters.llama import LlamaDrafter
from services.device_agent.drafters.paced import PacedDrafter
from services.device_agent.drafters.port import Drafter, DrafterFailed
from services.device_agent.drafters.spoiled import SpoiledDrafter

KINDS = ("onnx", "llama", "openai")


def open_drafter(
    kind: str,
    model: Path,
    context: int,
    *,
    threads: int = 1,
    engine_url: str | None = None,
    engine_model: str | None = None,
    spoil: float = 0.0,
    least_step_s: float = 0.0,
    vocabulary: int = 2,
) -> Drafter:
    """`model` is the folder with the tokenizer and, but for `openai`, the weights.

    Raises DrafterFailed.
    """
    drafter: Drafter
    if kind == "openai":
        if not engine_url:
            raise DrafterFailed("--drafter openai needs --engine-url, the engine's address")
        drafter = EngineDrafter(engine_url, engine_model, context)
    elif kind == "llama":
        drafter = LlamaDrafter(_one_file(model, "*.gguf"), context, threads)
    else:
        # Imported here: a device with another drafter needs no ONNX Runtime.
        from services.device_agent.drafters.onnx import OnnxDrafter

        drafter = OnnxDrafter(_one_file(model, "*.onnx"), context, threads)
    if least_step_s:
        drafter = PacedDrafter(drafter, least_step_s)
    return SpoiledDrafter(drafter, spoil, vocabulary) if spoil else drafter


def _one_file(folder: Path, pattern: str) -> Path:
    files = sorted(folder.glob(pattern))
    if len(files) != 1:
        found = ", ".join(file.name for file in files) or "none"
        raise DrafterFailed(f"--model {folder}: needs one file {pattern}, has {found}")
    return files[0]
