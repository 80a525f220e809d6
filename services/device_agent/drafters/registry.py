"""The kinds of drafters that the command line can name."""

from __future__ import annotations

from pathlib import Path

from services.device_agent.drafters.emulation import NoisyDrafter, SlowDrafter
from services.device_agent.drafters.engine import EngineDrafter
from services.device_agent.drafters.llama import LlamaDrafter
from services.device_agent.drafters.port import Drafter, DrafterFailed

KINDS = ("onnx", "llama", "openai")


def open_drafter(
    kind: str,
    model: Path,
    *,
    context: int,
    threads: int = 1,
    engine_url: str | None = None,
    engine_model: str | None = None,
    spoil: float = 0.0,
    least_step_s: float = 0.0,
    vocabulary: int = 2,
) -> Drafter:
    """Opens a drafter of one of KINDS.

    `model` is the folder with the tokenizer and, but for `openai`, the weights. `context` is in
    tokens. `spoil` is the share of guesses to replace by random tokens of
    `vocabulary`, `least_step_s` the least time for a token; both are for measurements.

    Raises DrafterFailed.
    """
    drafter: Drafter
    if kind == "openai":
        if not engine_url:
            raise DrafterFailed("--drafter openai needs --engine-url: the address of the engine")
        drafter = EngineDrafter(engine_url, engine_model, context)
    elif kind == "llama":
        drafter = LlamaDrafter(file=_one_file(model, "*.gguf"), context=context, threads=threads)
    else:
        # Imported here: a device with another drafter needs no ONNX Runtime.
        from services.device_agent.drafters.onnx import OnnxDrafter

        drafter = OnnxDrafter(_one_file(model, "*.onnx"), context, threads)
    if least_step_s:
        drafter = SlowDrafter(drafter, least_step_s)
    return NoisyDrafter(drafter, spoil, vocabulary) if spoil else drafter


def _one_file(folder: Path, pattern: str) -> Path:
    files = sorted(folder.glob(pattern))
    if len(files) != 1:
        names = ", ".join(file.name for file in files) or "none"
        raise DrafterFailed(f"--model {folder}: needs one file {pattern}, has {names}")
    return files[0]
